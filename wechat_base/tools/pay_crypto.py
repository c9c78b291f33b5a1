"""The cryptography of WeChat Pay v3, as pure functions.

https://pay.weixin.qq.com/doc/v3/merchant/4012365342 (sign),
https://pay.weixin.qq.com/doc/v3/merchant/4013053420 (verify)
"""

import base64
import binascii
import json
import secrets
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from cryptography.x509.oid import NameOID

SCHEME = "WECHATPAY2-SHA256-RSA2048"
# How a brand signs for itself; WeChat signs for it as for everybody.
BRAND_SCHEME = "WECHATPAY-BRAND-SHA256-RSA2048"
# What each scheme calls the number of who signs.
SIGNERS: dict[str, str] = {SCHEME: "mchid", BRAND_SCHEME: "brand_id"}
# The field encryption is defined with SHA-1 in OAEP; it is not a signature.
_OAEP = padding.OAEP(
    mgf=padding.MGF1(algorithm=SHA1()),  # noqa: S303
    algorithm=SHA1(),  # noqa: S303
    label=None,
)


@lru_cache(maxsize=64)
def load_private_key(pem):
    """Return the RSA private key in ``pem``.

    :raises ValueError: if it is not one
    """
    try:
        key = load_pem_private_key((pem or "").strip().encode(), password=None)
    except TypeError:
        raise ValueError("the key has a password") from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError("not an RSA key")
    return key


@lru_cache(maxsize=64)
def load_public_key(pem):
    """Return the RSA public key of a certificate or public key in ``pem``.

    :raises ValueError: if it is neither
    """
    data = (pem or "").strip().encode()
    if b"BEGIN CERTIFICATE" in data:
        key = x509.load_pem_x509_certificate(data).public_key()
    else:
        key = load_pem_public_key(data)
    if not isinstance(key, rsa.RSAPublicKey):
        raise ValueError("not an RSA key")
    return key


def load_certificate(pem):
    """Return the certificate in ``pem``.

    :raises ValueError: if it is not one
    """
    return x509.load_pem_x509_certificate((pem or "").strip().encode())


def certificate_serial(certificate):
    """Return the serial number as WeChat writes it: hexadecimal, upper case."""
    text = f"{certificate.serial_number:X}"
    return text if len(text) % 2 == 0 else f"0{text}"


def certificate_start(certificate):
    """Return the naive UTC time from which the certificate is valid."""
    return _naive(certificate, "not_valid_before")


def certificate_end(certificate):
    """Return the naive UTC time until which the certificate is valid."""
    return _naive(certificate, "not_valid_after")


def _naive(certificate, name):
    # cryptography 42 deprecated the naive attributes; older ones have no others.
    value = getattr(certificate, f"{name}_utc", None) or getattr(certificate, name)
    return value.replace(tzinfo=None, microsecond=0)


def new_private_key():
    """Return the PEM of a new RSA key of the size that WeChat asks for."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def certificate_request(private_key, mchid, name):
    """Return the PEM of a certificate request, as the merchant platform takes it.

    :param str mchid: merchant number, the common name of the certificate
    :param str name: of the merchant
    """
    attributes = [
        x509.NameAttribute(NameOID.COUNTRY_NAME, "CN"),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, name[:64]),
        x509.NameAttribute(NameOID.COMMON_NAME, mchid),
    ]
    builder = x509.CertificateSigningRequestBuilder()
    request = builder.subject_name(x509.Name(attributes)).sign(private_key, SHA256())
    return request.public_bytes(Encoding.PEM).decode()


def same_key(private_key, public_key):
    """Whether the two are a pair."""
    return private_key.public_key().public_numbers() == public_key.public_numbers()


def sign(private_key, message):
    """Return the base64 signature of ``message`` (bytes)."""
    signature = private_key.sign(message, padding.PKCS1v15(), SHA256())
    return base64.b64encode(signature).decode()


def is_signed(public_key, message, signature):
    """Whether ``signature`` (base64) is the one of ``message`` (bytes)."""
    try:
        data = base64.b64decode(signature, validate=True)
        public_key.verify(data, message, padding.PKCS1v15(), SHA256())
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def lines(*parts):
    """Join the parts of a message to be signed: each ends with a line feed."""
    return b"".join(
        (part if isinstance(part, bytes) else str(part).encode()) + b"\n"
        for part in parts
    )


def nonce():
    """Return 32 random characters."""
    return secrets.token_hex(16).upper()


def authorization(
    signer,
    serial,
    private_key,
    method,
    target,
    body,
    timestamp,
    nonce,
    scheme=SCHEME,
):
    """Return the value of the header ``Authorization``.

    :param str signer: number of the merchant, or of the brand
    :param str target: path and query exactly as sent
    :param bytes body: body exactly as sent
    :param str scheme: a key of :data:`SIGNERS`
    """
    message = lines(method, target, timestamp, nonce, body)
    fields = {
        SIGNERS[scheme]: signer,
        "nonce_str": nonce,
        "signature": sign(private_key, message),
        "timestamp": timestamp,
        "serial_no": serial,
    }
    joined = ",".join(f'{name}="{value}"' for name, value in fields.items())
    return f"{scheme} {joined}"


def decrypt_resource(apiv3_key, resource):
    """Return what is in the ``resource`` of a notice, or of a certificate.

    :param str apiv3_key: 32 characters
    :param dict resource: ``algorithm``, ``ciphertext``, ``nonce``,
        ``associated_data``
    :return: bytes
    :raises ValueError: if it was not encrypted with this key
    """
    if resource.get("algorithm", "AEAD_AES_256_GCM") != "AEAD_AES_256_GCM":
        raise ValueError("unknown algorithm")
    key = (apiv3_key or "").encode()
    if len(key) != 32:
        raise ValueError("the APIv3 key is not 32 characters long")
    try:
        return AESGCM(key).decrypt(
            str(resource["nonce"]).encode(),
            base64.b64decode(resource["ciphertext"], validate=True),
            (resource.get("associated_data") or "").encode(),
        )
    except (AttributeError, KeyError, TypeError, binascii.Error, InvalidTag):
        raise ValueError("not encrypted with this key") from None


def decrypt_json(apiv3_key, resource):
    """Like :func:`decrypt_resource`, parsed; always a dictionary."""
    value = json.loads(decrypt_resource(apiv3_key, resource))
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


def encrypt_field(public_key, text):
    """Encrypt a sensitive field of a request for WeChat."""
    return base64.b64encode(public_key.encrypt(text.encode(), _OAEP)).decode()


def decrypt_field(private_key, text):
    """Decrypt a sensitive field of an answer.

    :raises ValueError: if it was not encrypted for us
    """
    return private_key.decrypt(base64.b64decode(text), _OAEP).decode()
