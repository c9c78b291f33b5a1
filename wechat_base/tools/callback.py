"""Callbacks of an Official Account: signature, decryption, XML. Pure functions.

https://developers.weixin.qq.com/doc/offiaccount/Message_Management/Message_encryption_and_decryption_instructions.html
"""

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import struct
from xml.parsers import expat

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from ..const import MAX_DIGITS

_MAX_DEPTH = 12
_MAX_ELEMENTS = 2000
_BLOCK = 32
_EVENT_TYPE = re.compile(r"[^a-z0-9_]+")
# What tells two events of one second apart. Elements beyond those of the official
# rule (sender and time) are here because one person can set off several events in
# one second: two cards received, two changes of one member card.
_KEY_FIELDS = (
    "FromUserName",
    "CreateTime",
    "CardId",
    "UserCardCode",
    "EventKey",
    "TransId",
    "OrderId",
    "PageId",
    "MsgID",
    "SuccOrderId",
    "FailOrderId",
    "ModifyBonus",
    "ModifyBalance",
    "Status",
)


class CallbackRefused(Exception):
    """A callback that must not be stored.

    :param int status: HTTP status of the answer
    :param str reason: for the log; holds nothing of the body
    """

    def __init__(self, status, reason):
        super().__init__(reason)
        self.status = status
        self.reason = reason


def signature(*parts):
    """Return WeChat's SHA-1 over the sorted parts."""
    joined = "".join(sorted(parts)).encode()
    return hashlib.sha1(joined, usedforsecurity=False).hexdigest()


def check_signature(given, *parts):
    """Compare in constant time.

    :raises CallbackRefused: if it is missing or wrong
    """
    if not given:
        raise CallbackRefused(403, "signature missing")
    if not hmac.compare_digest(signature(*parts).encode(), given.encode()):
        raise CallbackRefused(403, "signature wrong")


def check_age(timestamp, now, past, future):
    """Refuse a signature that somebody may have kept.

    :raises CallbackRefused: if ``timestamp`` is missing or too far from ``now``
    """
    if not (timestamp and timestamp.isascii() and timestamp.isdigit()):
        raise CallbackRefused(403, "timestamp missing")
    if len(timestamp) > MAX_DIGITS:
        # Python refuses to read a number of thousands of digits.
        raise CallbackRefused(403, "timestamp stale")
    if not now - past <= int(timestamp) <= now + future:
        raise CallbackRefused(403, "timestamp stale")


def decrypt(aes_key, appid, encrypted):
    """Decrypt a message; its signature has been checked before.

    :param str aes_key: EncodingAESKey, 43 characters
    :param str appid: must stand at the end of the clear text
    :param str encrypted: content of ``<Encrypt>``
    :return: the message's XML, bytes
    :raises CallbackRefused: if it is not meant for this account
    """
    try:
        key = base64.b64decode(aes_key + "=")
        data = base64.b64decode(encrypted, validate=True)
        decryptor = Cipher(algorithms.AES(key), modes.CBC(key[:16])).decryptor()
        padded = decryptor.update(data) + decryptor.finalize()
        padding = padded[-1]
        if not 1 <= padding <= _BLOCK or padded[-padding:] != bytes([padding]) * (
            padding
        ):
            raise ValueError("padding")
        (length,) = struct.unpack(">I", padded[16:20])
        message = padded[20 : 20 + length]
        suffix = padded[20 + length : -padding]
        if len(message) != length:
            raise ValueError("length")
    except (ValueError, IndexError, binascii.Error, struct.error):
        raise CallbackRefused(403, "cannot be decrypted") from None
    if not hmac.compare_digest(suffix, appid.encode()):
        raise CallbackRefused(403, "meant for another account")
    return message


def encrypt(aes_key, appid, message):
    """Encrypt a message as WeChat does: for replies, and to test ourselves."""
    key = base64.b64decode(aes_key + "=")
    data = message if isinstance(message, bytes) else message.encode()
    data = secrets.token_bytes(16) + struct.pack(">I", len(data)) + data
    data += appid.encode()
    padding = _BLOCK - len(data) % _BLOCK
    data += bytes([padding]) * padding
    encryptor = Cipher(algorithms.AES(key), modes.CBC(key[:16])).encryptor()
    return base64.b64encode(encryptor.update(data) + encryptor.finalize()).decode()


class _Builder:
    """Builds dictionaries from expat's events, and refuses what WeChat never sends.

    A document type is refused when it begins: no entity is ever defined, none is
    fetched, none is expanded.
    """

    def __init__(self):
        self.stack = [("", {}, [])]
        self.count = 0

    def doctype(self, *_args):
        raise CallbackRefused(400, "document type in XML")

    def start(self, name, _attributes):
        self.count += 1
        if self.count > _MAX_ELEMENTS or len(self.stack) > _MAX_DEPTH:
            raise CallbackRefused(400, "XML too large")
        self.stack.append((name, {}, []))

    def end(self, _name):
        name, children, texts = self.stack.pop()
        value = children or "".join(texts).strip()
        siblings = self.stack[-1][1]
        if name in siblings:
            kept = siblings[name]
            siblings[name] = [*kept, value] if isinstance(kept, list) else [kept, value]
        else:
            siblings[name] = value

    def text(self, data):
        self.stack[-1][2].append(data)


def parse_xml(body):
    """Return the elements below ``<xml>`` as a dictionary of stripped texts.

    :param bytes body: as received
    :rtype: dict
    :raises CallbackRefused: if it is broken or hostile
    """
    builder = _Builder()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = builder.doctype
    parser.EntityDeclHandler = builder.doctype
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.text
    try:
        parser.Parse(body, True)
    except (expat.ExpatError, ValueError, LookupError):
        raise CallbackRefused(400, "broken XML") from None
    values = builder.stack[0][1].get("xml")
    if not isinstance(values, dict) or not values:
        raise CallbackRefused(400, "not a message")
    return values


def event_type(message):
    """Return the kind of a message in lower case: ``user_get_card``, …

    Messages of a person are ``message_text``, ``message_image``, …
    """
    kind = _text(message, "MsgType").lower()
    if kind == "event":
        kind = _text(message, "Event").lower()
    elif kind:
        kind = f"message_{kind}"
    return _EVENT_TYPE.sub("_", kind)[:64].strip("_") or "unknown"


def event_key(message):
    """Return what is the same in each repetition of one message, and only there."""
    if message_id := _text(message, "MsgId"):
        return f"msg:{message_id}"[:255]
    parts = [event_type(message), *(_text(message, name) for name in _KEY_FIELDS)]
    while parts and not parts[-1]:
        parts.pop()
    key = ":".join(parts)
    if len(key) > 200:
        digest = hashlib.sha256(key.encode()).hexdigest()
        key = f"{key[:120]}:{digest}"
    return key


def _text(message, name):
    value = message.get(name)
    return value if isinstance(value, str) else ""
