from . import test_card_channel
from . import test_events
from . import test_pos_tours
from . import test_redemption
from . import test_template
from . import test_till
from . import test_tools
from . import test_write_off
