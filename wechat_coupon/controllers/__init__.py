from . import claim
from . import codes
