from . import claim
from . import codes
from . import feedback
