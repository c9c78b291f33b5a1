"""WeChat Pay v3: stub."""


class PayCore:
    def __init__(self, box):
        self.box = box

    def build_notification(self, delivery):
        return None

    def forget_keys(self, mchid): ...


async def dispatch(box, request):
    raise NotImplementedError


def fault_answer(*a): ...
