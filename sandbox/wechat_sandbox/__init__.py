"""A strict stand-in for WeChat's servers.

One process serves the paths of the Official Account API, the WeChat Pay v3 API and
``mp.weixin.qq.com``, a "phone" web page, and a control API for tests.
It shares no code with the clients that it tests.
"""

__version__ = "1.0.0"
