import { ConnectionLostError } from "@web/core/network/rpc";
import { loadBundle } from "@web/core/assets";
import { formatCurrency } from "@web/core/currency";
import { _t } from "@web/core/l10n/translation";
import { registry } from "@web/core/registry";
import { useBus, useService } from "@web/core/utils/hooks";
import { useDebounced } from "@web/core/utils/timing";
import { Layout } from "@web/search/layout";
import { standardActionServiceProps } from "@web/webclient/actions/action_service";
import { Component, onWillStart, onWillUnmount, useEffect, useRef, useState } from "@odoo/owl";

const MESSAGE = "wechat_coupon/redemption";
// A busy chain redeems more often than anybody can look.
const PAUSE = 1000;

/** Today's redemptions as they happen. */
export class CouponLive extends Component {
    static template = "wechat_coupon.Live";
    static components = { Layout };
    static props = { ...standardActionServiceProps };

    setup() {
        this.action = useService("action");
        this.orm = useService("orm");
        this.bus = useService("bus_service");
        this.chartRef = useRef("chart");
        this.state = useState({ data: null, offline: false });
        this.display = { controlPanel: {} };
        const load = useDebounced(() => this.load(), PAUSE, { immediate: false });
        this.onMessage = () => load();
        this.bus.subscribe(MESSAGE, this.onMessage);
        useBus(this.bus, "BUS:RECONNECT", load);
        useBus(this.bus, "BUS:DISCONNECT", () => (this.state.offline = true));
        onWillStart(() => Promise.all([loadBundle("web.chartjs_lib"), this.load()]));
        useEffect(
            () => this.drawChart(),
            () => [this.state.data]
        );
        onWillUnmount(() => {
            this.bus.unsubscribe(MESSAGE, this.onMessage);
            this.chart?.destroy();
        });
    }

    async load() {
        try {
            this.state.data = await this.orm.call("coupon.redemption", "get_live_data", []);
        } catch (error) {
            if (!(error instanceof ConnectionLostError) || !this.state.data) {
                throw error;
            }
            // What was shown stays; the bus says when the line is back.
            this.state.offline = true;
            return;
        }
        this.state.offline = false;
    }

    money(amount) {
        return formatCurrency(amount, this.state.data.currency_id);
    }
    share(group) {
        return Math.round((100 * group.count) / (this.state.data.totals.count || 1));
    }

    drawChart() {
        const canvas = this.chartRef.el;
        if (!canvas) {
            return;
        }
        const hours = this.state.data.hours;
        if (this.chart) {
            this.chart.data.datasets[0].data = hours;
            this.chart.update();
            return;
        }
        this.chart = new Chart(canvas, {
            type: "bar",
            data: {
                labels: hours.map((_count, hour) => `${hour}:00`),
                datasets: [
                    { label: _t("Coupons used"), data: hours, backgroundColor: "#63b359" },
                ],
            },
            options: {
                maintainAspectRatio: false,
                plugins: { legend: { display: false } },
                scales: { y: { beginAtZero: true, ticks: { precision: 0 } } },
            },
        });
    }

    openRedemption(id) {
        this.action.doAction({
            type: "ir.actions.act_window",
            res_model: "coupon.redemption",
            res_id: id,
            views: [[false, "form"]],
        });
    }
    openWorklist() {
        this.action.doAction("wechat_coupon.coupon_redemption_action_worklist");
    }
}

registry.category("actions").add("wechat_coupon.live", CouponLive);
