"""What a Pay v3 body may hold.  WeChat docs: Pay v3 "Error codes".

Unknown fields are refused, amounts must be JSON integers, times need an offset.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .errors import PayError

EXTRA_FIELD = 270924358
BAD_PARAM = 268435461
OUT_OF_RANGE = 268435464

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)\Z")


@dataclass(frozen=True)
class Field:
    """One field: its JSON kind and its limits (lengths in characters)."""

    kind: str
    required: bool = False
    low: int | None = None
    high: int | None = None
    pattern: str = ""
    choices: tuple = ()
    fields: Mapping[str, "Field"] | None = None
    item: "Field | None" = None


def string(high: int, required: bool = False, **options: Any) -> Field:
    return Field("string", required, options.pop("low", 1), high, **options)


def integer(required: bool = False, low: int | None = None, **options: Any) -> Field:
    return Field("integer", required, low, options.pop("high", None), **options)


def boolean(required: bool = False) -> Field:
    return Field("boolean", required)


def time(required: bool = False) -> Field:
    return Field("time", required, 20, 64)


def group(required: bool = False, **fields: Field) -> Field:
    return Field("object", required, fields=fields)


def array(item: Field, required: bool = False, high: int = 6000) -> Field:
    return Field("array", required, 0, high, item=item)


def matches(pattern: str, value: str) -> bool:
    return bool(re.fullmatch(pattern, value, re.ASCII))


def param_error(
    where: str, value: Any, issue: str, number: int = BAD_PARAM, location: str = "body"
) -> PayError:
    """Return the error for one bad parameter; a payment code is not repeated."""
    if where.endswith("/auth_code"):
        value = "***"
    detail = {"location": location, "field": where, "value": value, "issue": issue}
    return PayError(400, "PARAM_ERROR", f"参数错误：{issue}", number, detail)


def check(data: Any, field: Field, where: str = "") -> None:
    """Check a value against its field, depth first, in the order of the fields."""
    checker = _CHECKS[field.kind]
    checker(data, field, where or "/")


def without_nulls(data: Any) -> Any:
    """Return checked data without fields that are null, which means not sent."""
    if isinstance(data, dict):
        return {k: without_nulls(v) for k, v in data.items() if v is not None}
    return [without_nulls(item) for item in data] if isinstance(data, list) else data


def _check_object(data: Any, field: Field, where: str) -> None:
    if not isinstance(data, dict):
        raise param_error(where, data, "必须是对象")
    prefix = "" if where == "/" else where
    fields = field.fields or {}
    for name in data:
        if name not in fields:
            raise PayError(
                400,
                "PARAM_ERROR",
                "参数中含有非法的额外参数",
                EXTRA_FIELD,
                {
                    "location": "body",
                    "field": f"{prefix}/{name}",
                    "value": "***" if name == "auth_code" else data[name],
                    "issue": "非法的额外参数",
                },
            )
    for name, child in fields.items():
        value = data.get(name)
        if value is None:
            if child.required:
                raise param_error(f"{prefix}/{name}", "", "缺少必填参数")
            continue
        check(value, child, f"{prefix}/{name}")


def _check_string(data: Any, field: Field, where: str) -> None:
    if not isinstance(data, str):
        raise param_error(where, data, "必须是字符串")
    if len(data) < (field.low or 0) or len(data) > (field.high or len(data)):
        raise param_error(where, data, "字符串长度不符合要求", OUT_OF_RANGE)
    if field.pattern and not re.fullmatch(field.pattern, data):
        raise param_error(where, data, "格式不符合要求")
    if field.choices and data not in field.choices:
        raise param_error(where, data, "取值不在枚举范围内")


def _check_integer(data: Any, field: Field, where: str) -> None:
    if isinstance(data, bool) or not isinstance(data, int):
        raise param_error(where, data, "必须是整数")
    too_low = field.low is not None and data < field.low
    if too_low or (field.high is not None and data > field.high):
        raise param_error(where, data, "数值超出范围", OUT_OF_RANGE)


def _check_boolean(data: Any, field: Field, where: str) -> None:
    if not isinstance(data, bool):
        raise param_error(where, data, "必须是布尔值")


def _check_time(data: Any, field: Field, where: str) -> None:
    if not isinstance(data, str) or not _RFC3339.match(data):
        raise param_error(where, data, "时间必须是带时区的RFC3339格式")
    try:
        parse_time(data)
    except ValueError:
        raise param_error(where, data, "时间不存在") from None


def _check_array(data: Any, field: Field, where: str) -> None:
    if not isinstance(data, list):
        raise param_error(where, data, "必须是数组")
    if field.high is not None and len(data) > field.high:
        raise param_error(where, len(data), "数组过长", OUT_OF_RANGE)
    assert field.item is not None
    for index, item in enumerate(data):
        check(item, field.item, f"{where}/{index}")


_CHECKS = {
    "object": _check_object,
    "string": _check_string,
    "integer": _check_integer,
    "boolean": _check_boolean,
    "time": _check_time,
    "array": _check_array,
}


def parse_time(value: str) -> float:
    """Return the Unix time of an RFC3339 text."""
    return datetime.fromisoformat(value.replace("Z", "+00:00")).timestamp()
