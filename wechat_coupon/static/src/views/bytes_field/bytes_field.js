import { useRecordObserver } from "@web/model/relational_model/utils";
import { CharField, charField } from "@web/views/fields/char/char_field";
import { TextField, textField } from "@web/views/fields/text/text_field";
import { registry } from "@web/core/registry";
import { useState } from "@odoo/owl";

const encoder = new TextEncoder();

/**
 * How long a text is for WeChat, which counts bytes: a Chinese character has three.
 * It follows what is typed, before the record knows of it.
 */
class ByteCount {
    constructor(field) {
        this.field = field;
        this.typed = null;
    }
    get text() {
        const { record, name } = this.field.props;
        return this.typed ?? record.data[name] ?? "";
    }
    get used() {
        return encoder.encode(this.field.parse(this.text || "")).length;
    }
    get isTooLong() {
        return this.used > this.field.props.bytes;
    }
}

function useByteCount(field) {
    const count = useState(new ByteCount(field));
    useRecordObserver((record) => {
        // Read, so that a change of it calls this again.
        void record.data[field.props.name];
        count.typed = null;
    });
    return count;
}

export class BytesField extends CharField {
    static template = "wechat_coupon.BytesField";
    static props = { ...CharField.props, bytes: { type: Number } };

    setup() {
        super.setup();
        this.count = useByteCount(this);
    }
}

export class BytesTextField extends TextField {
    static template = "wechat_coupon.BytesTextField";
    static props = { ...TextField.props, bytes: { type: Number } };

    setup() {
        super.setup();
        this.count = useByteCount(this);
    }
}

function withBytes(description, component) {
    return {
        ...description,
        component,
        extractProps: (info, dynamic) => ({
            ...description.extractProps(info, dynamic),
            bytes: info.options.bytes,
        }),
    };
}

registry.category("fields").add("wechat_bytes", withBytes(charField, BytesField));
registry.category("fields").add("wechat_bytes_text", withBytes(textField, BytesTextField));
