"""Keys of WeChat Pay v3: platform certificates, the public key, AEAD, signatures.

WeChat docs: Pay v3 "Signature", "WeChat Pay public key", "Certificates and callback
decryption".
"""

import base64
from datetime import datetime, timedelta, timezone
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.x509.oid import NameOID

CERTIFICATE_DAYS = 5 * 365
_PEM = serialization.Encoding.PEM


def new_private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def private_pem(key: rsa.RSAPrivateKey) -> str:
    return key.private_bytes(
        _PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def public_pem(key: rsa.RSAPublicKey) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_bytes(_PEM, form).decode()


def load_private(pem: str) -> rsa.RSAPrivateKey:
    return serialization.load_pem_private_key(pem.encode(), password=None)


def load_public(pem: str) -> rsa.RSAPublicKey:
    key = serialization.load_pem_public_key(pem.encode())
    if not isinstance(key, rsa.RSAPublicKey):
        raise ValueError("not an RSA key")
    return key


def new_certificate(key: rsa.RSAPrivateKey, name: str) -> dict[str, Any]:
    """Return a self-signed certificate with its serial number and validity."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    begin = datetime.now(timezone.utc).replace(microsecond=0) - timedelta(days=1)
    end = begin + timedelta(days=CERTIFICATE_DAYS)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .sign(key, hashes.SHA256())
    )
    return {
        "serial": serial_of(certificate),
        "pem": certificate.public_bytes(_PEM).decode(),
        "begin": begin.timestamp(),
        "end": end.timestamp(),
    }


def serial_of(certificate: x509.Certificate) -> str:
    """Return the serial number as WeChat writes it: whole bytes in capital hex."""
    number = certificate.serial_number
    return number.to_bytes((number.bit_length() + 7) // 8, "big").hex().upper()


def read_certificate(pem: str) -> tuple[str, str]:
    """Return the serial number and the public key of a certificate."""
    certificate = x509.load_pem_x509_certificate(pem.encode())
    key = certificate.public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        raise ValueError("not an RSA certificate")
    return serial_of(certificate), public_pem(key)


def sign(key: rsa.RSAPrivateKey, message: bytes) -> str:
    signature = key.sign(message, padding.PKCS1v15(), hashes.SHA256())
    return base64.b64encode(signature).decode()


def verify(key: rsa.RSAPublicKey, message: bytes, signature: str) -> bool:
    try:
        raw = base64.b64decode(signature, validate=True)
        key.verify(raw, message, padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True


def aead_encrypt(key: str, nonce: str, associated_data: str, text: str) -> str:
    """Encrypt with AEAD_AES_256_GCM; the tag is the last 16 bytes."""
    cipher = AESGCM(key.encode())
    raw = cipher.encrypt(nonce.encode(), text.encode(), associated_data.encode())
    return base64.b64encode(raw).decode()
