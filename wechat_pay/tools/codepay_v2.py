class CodepayV2:
    pass
