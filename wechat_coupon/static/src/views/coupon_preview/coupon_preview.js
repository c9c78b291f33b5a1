import { formatFloatTime } from "@web/views/fields/formatters";
import { fileTypeMagicWordMap } from "@web/views/fields/image/image_field";
import { standardWidgetProps } from "@web/views/widgets/standard_widget_props";
import { _t } from "@web/core/l10n/translation";
import { registry } from "@web/core/registry";
import { isBinarySize } from "@web/core/utils/binary";
import { imageUrl } from "@web/core/utils/urls";
import { Component } from "@odoo/owl";

const DAY = "yyyy.MM.dd";

/** The coupon as the customer's phone shows it, with what is not saved yet. */
export class CouponPreview extends Component {
    static template = "wechat_coupon.CouponPreview";
    static props = { ...standardWidgetProps };

    get data() {
        return this.props.record.data;
    }
    get color() {
        return this.data.color_hex || "#63b359";
    }
    get brand() {
        return this.data.brand_name || this.data.company_id?.display_name || "";
    }
    get title() {
        return this.data.title || this.data.name || "";
    }
    get codeIcon() {
        return { CODE_TYPE_BARCODE: "fa-barcode", CODE_TYPE_QRCODE: "fa-qrcode" }[
            this.data.code_type
        ];
    }

    imageOf(name) {
        const value = this.data[name];
        if (!value) {
            return null;
        }
        if (isBinarySize(value)) {
            const { resModel, resId } = this.props.record;
            return imageUrl(resModel, resId, name, { unique: this.data.write_date });
        }
        const type = fileTypeMagicWordMap[value[0]] || "png";
        return `data:image/${type};base64,${value}`;
    }

    get validity() {
        const { date_type, date_from, date_to, term_days, term_begin_days } = this.data;
        if (date_type === "range") {
            return date_from && date_to
                ? `${date_from.toFormat(DAY)} – ${date_to.toFormat(DAY)}`
                : "";
        }
        return term_begin_days
            ? _t("For %(days)s days, from %(begin)s days after receipt", {
                  days: term_days,
                  begin: term_begin_days,
              })
            : _t("For %(days)s days from receipt", { days: term_days });
    }

    get hours() {
        const periods = this.data.period_ids;
        if (!periods?.count) {
            return "";
        }
        const days = Object.fromEntries(periods.fields.weekday.selection);
        return periods.records
            .map(
                ({ data }) =>
                    `${days[data.weekday]} ${formatFloatTime(data.hour_from)}–${formatFloatTime(
                        data.hour_to
                    )}`
            )
            .join(", ");
    }

    namesOf(field) {
        const names = this.data[field]?.records.map(({ data }) => data.display_name) || [];
        return names.join(", ");
    }
}

registry.category("view_widgets").add("wechat_coupon_preview", {
    component: CouponPreview,
    fieldDependencies: [{ name: "write_date", type: "datetime" }],
});
