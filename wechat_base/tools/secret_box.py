"""Encryption of secrets at rest; the key is never in the database.

The key is looked for in this order:

1. environment variable ``WECHAT_SECRET_KEY``
2. option ``wechat_secret_key`` of Odoo's configuration file
3. the file ``wechat_secret.key`` in Odoo's data directory, made on first use

Several keys may be given, separated by commas: the first encrypts, all decrypt.
"""

import logging
import os
import tempfile
from functools import lru_cache
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from odoo.tools import config

_logger = logging.getLogger(__name__)

ENVIRONMENT_VARIABLE = "WECHAT_SECRET_KEY"
CONFIG_OPTION = "wechat_secret_key"
FILE_NAME = "wechat_secret.key"


class SecretKeyMissing(Exception):
    """No key is configured, and none may be made."""


class SecretKeyInvalid(Exception):
    """What is configured is not a key."""


class SecretUnreadable(Exception):
    """The text was encrypted with a key that we do not have."""


def key_file():
    """Return the path of the key file."""
    return Path(config["data_dir"]) / FILE_NAME


def key_source():
    """Return where the key comes from: environment, option, file, or ``None``."""
    if os.environ.get(ENVIRONMENT_VARIABLE, "").strip():
        return "environment"
    if str(config.get(CONFIG_OPTION) or "").strip():
        return "option"
    if key_file().is_file():
        return "file"
    return None


def load_keys():
    """Return the configured keys as one comma-separated text, or ``None``."""
    source = key_source()
    if source == "environment":
        return os.environ[ENVIRONMENT_VARIABLE].strip()
    if source == "option":
        return config[CONFIG_OPTION].strip()
    if source == "file":
        return key_file().read_text().strip()
    return None


def create_key_file():
    """Make the key file, readable by this user only; the first process wins."""
    path = key_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{FILE_NAME}.")
    try:
        os.fchmod(descriptor, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            stream.write(Fernet.generate_key().decode() + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        # A hard link fails when the name exists: no process can overwrite the
        # key that another one has just begun to use.
        os.link(name, path)
    except FileExistsError:
        _logger.info("Another process has made the key just now")
    finally:
        os.unlink(name)


def box():
    """Return the cipher made from the configured keys.

    :raises SecretKeyMissing: if there is no key
    :raises SecretKeyInvalid: if there is something else
    """
    keys = load_keys()
    if not keys:
        raise SecretKeyMissing()
    return _box(keys)


@lru_cache(maxsize=8)
def _box(keys):
    try:
        return MultiFernet(
            [Fernet(key.strip()) for key in keys.split(",") if key.strip()]
        )
    except ValueError:
        # Not chained: the cause's text may hold a part of the key.
        raise SecretKeyInvalid() from None


def encrypt(text):
    """Return the encrypted form of ``text``."""
    return box().encrypt(text.encode()).decode()


def decrypt(cipher):
    """Return the clear text of what :func:`encrypt` returned.

    :raises SecretUnreadable: if none of our keys fits
    """
    try:
        return box().decrypt(cipher.encode()).decode()
    except InvalidToken:
        raise SecretUnreadable() from None


def rotate(cipher):
    """Return ``cipher`` encrypted anew with the first key."""
    try:
        return box().rotate(cipher.encode()).decode()
    except InvalidToken:
        raise SecretUnreadable() from None
