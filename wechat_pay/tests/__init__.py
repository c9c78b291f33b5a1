from . import test_codepay
