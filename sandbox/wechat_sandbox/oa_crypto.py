"""Signatures, encryption and XML of Official Account callbacks.

WeChat docs: "Message encryption and decryption", "Access guide".
"""

import base64
import hashlib
import os
import struct
from collections.abc import Callable, Iterable
from typing import Any
from xml.dom import minidom

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

BLOCK = 32


def sha1_sorted(*values: str) -> str:
    """Return the SHA-1 of the sorted values, joined without separator."""
    return hashlib.sha1(
        "".join(sorted(values)).encode(), usedforsecurity=False
    ).hexdigest()


def aes_key(encoding_aes_key: str) -> bytes:
    """Return the 32-byte key for a 43-character EncodingAESKey."""
    key = base64.b64decode(encoding_aes_key + "=", validate=True)
    if len(key) != 32:
        raise ValueError("EncodingAESKey must have 43 characters")
    return key


def encrypt(encoding_aes_key: str, text: str, appid: str) -> str:
    """Encrypt a message: 16 random bytes, length, text, appid; AES-256-CBC."""
    key = aes_key(encoding_aes_key)
    raw = text.encode()
    plain = os.urandom(16) + struct.pack(">I", len(raw)) + raw + appid.encode()
    padding = BLOCK - len(plain) % BLOCK
    plain += bytes([padding]) * padding
    encryptor = Cipher(algorithms.AES(key), modes.CBC(key[:16])).encryptor()
    return base64.b64encode(encryptor.update(plain) + encryptor.finalize()).decode()


def decrypt(encoding_aes_key: str, ciphertext: str) -> tuple[str, str]:
    """Return the text and the appid of an encrypted message."""
    key = aes_key(encoding_aes_key)
    decryptor = Cipher(algorithms.AES(key), modes.CBC(key[:16])).decryptor()
    plain = decryptor.update(base64.b64decode(ciphertext)) + decryptor.finalize()
    padding = plain[-1]
    if not 1 <= padding <= BLOCK:
        raise ValueError("bad padding")
    plain = plain[16:-padding]
    (length,) = struct.unpack(">I", plain[:4])
    return plain[4 : 4 + length].decode(), plain[4 + length :].decode()


def _append(
    document: minidom.Document,
    parent: minidom.Element,
    name: str,
    value: Any,
    blank: Callable[[], bool],
) -> None:
    element = document.createElement(name)
    parent.appendChild(element)
    if isinstance(value, dict):
        for key, child in value.items():
            _append(document, element, key, child, blank)
        return
    if isinstance(value, bool):
        value = int(value)
    if isinstance(value, int):
        element.appendChild(document.createTextNode(str(value)))
        return
    spaced = blank()
    if spaced:
        element.appendChild(document.createTextNode(" "))
    # "]]>" cannot stand in a CDATA section: split it over two.
    parts = str(value).split("]]>")
    for index, part in enumerate(parts):
        head = ">" if index else ""
        tail = "]]" if index < len(parts) - 1 else ""
        text = head + part + tail
        element.appendChild(document.createCDATASection(text))
    if spaced:
        element.appendChild(document.createTextNode(" "))


def build_xml(values: dict[str, Any], style: str, coin: Iterable[bool] = ()) -> str:
    """Return the XML of a message.

    :param values: numbers are written plain, texts in CDATA, dicts as nested elements
    :param style: ``tight`` (no blanks), ``blank`` (blanks round CDATA, as in the
        official samples) or ``mixed`` (by turns, or as ``coin`` says)
    """
    flips = iter(coin)
    count = 0

    def blank() -> bool:
        nonlocal count
        count += 1
        if style == "mixed":
            return next(flips, count % 2 == 0)
        return style == "blank"

    document = minidom.Document()
    root = document.createElement("xml")
    document.appendChild(root)
    for name, value in values.items():
        if style != "tight":
            root.appendChild(document.createTextNode("\n"))
        _append(document, root, name, value, blank)
    return root.toxml()
