from . import codes
from . import feedback
