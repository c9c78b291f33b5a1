"""What the phone pages say, in Chinese and in English."""

LANGUAGES = ("zh", "en")

TEXTS: dict[str, tuple[str, str]] = {
    "app": ("沙箱手机", "Sandbox phone"),
    "pick_user": ("选择用户", "Choose a person"),
    "pick_hint": (
        "这是一部模拟手机。选择一位用户，打开他的卡包。",
        "This is a simulated phone. Choose a person to open the wallet.",
    ),
    "add_user": ("添加用户", "Add a person"),
    "nickname": ("昵称", "Nickname"),
    "add": ("添加", "Add"),
    "no_users": ("还没有用户，请先添加。", "Nobody here yet. Add a person first."),
    "wallet": ("卡包", "Wallet"),
    "my_cards": ("我的券和会员卡", "My coupons and cards"),
    "no_cards": ("卡包是空的", "The wallet is empty"),
    "old_cards": ("已使用和已过期", "Used and expired"),
    "get_card": ("领取卡券", "Receive a card"),
    "scan": ("扫一扫", "Scan"),
    "switch_user": ("切换用户", "Switch person"),
    "other_language": ("English", "中文"),
    "back": ("返回", "Back"),
    "gift_waiting": ("朋友送的卡券", "Gifts from friends"),
    "gift_from": ("%s 送给你一张卡券", "%s gives you a card"),
    "accept": ("领取", "Accept"),
    "receive": ("领取到卡包", "Add to wallet"),
    "received": ("已放入卡包", "Added to the wallet"),
    "no_issuable": ("现在没有可以领取的卡券。", "There is no card to receive now."),
    "stock": ("剩余 %s 张", "%s left"),
    "valid": ("有效期", "Valid"),
    "forever": ("永久有效", "Without end"),
    "from_receive": ("领取后 %s 天内有效", "%s days from receipt"),
    "notice": ("使用提醒", "Notice"),
    "details": ("使用须知", "Terms"),
    "phone_number": ("客服电话", "Phone"),
    "give": ("转赠好友", "Give to a friend"),
    "give_to": ("送给谁？", "To whom?"),
    "give_hint": (
        "对方领取后，这张卡券就归对方了。",
        "Once accepted, the card belongs to your friend.",
    ),
    "chat_room": ("发到群聊", "To a group chat"),
    "take_back": ("收回卡券", "Take back"),
    "delete": ("删除卡券", "Delete card"),
    "delete_sure": ("确认删除，无法恢复", "Delete it for good"),
    "self_consume": ("自助核销", "Redeem myself"),
    "code": ("卡号", "Code"),
    "show_cashier": ("向收银员出示", "Show this to the cashier"),
    "text_only": ("请向收银员报出卡号", "Tell the cashier this code"),
    "use_now": ("立即使用", "Use now"),
    "scan_hint": ("粘贴二维码中的网址", "Paste the address in the QR code"),
    "open": ("打开", "Open"),
    "not_a_card": ("这不是可以识别的二维码。", "This QR code is not known here."),
    "followed": ("已扫描。", "Scanned."),
    "no_friends": ("还没有其他用户。", "There is nobody else."),
    "authorize": ("网页授权", "Web authorisation"),
    "authorize_hint": (
        "%s 想知道你是谁。请选择用户。",
        "%s asks who you are. Choose a person.",
    ),
    "bad_redirect": (
        "redirect_uri 参数错误（10003）",
        "redirect_uri is not a registered domain (10003)",
    ),
    "bad_appid": ("appid 参数错误（10013）", "Unknown appid (10013)"),
    "bad_scope": ("scope 参数错误（10005）", "Bad scope (10005)"),
    "pay": ("支付", "Pay"),
    "pay_now": ("立即支付", "Pay now"),
    "paid": ("支付成功", "Paid"),
    "not_payable": ("订单已支付或已关闭。", "The order is paid or closed."),
    "done": ("完成", "Done"),
    "error": ("操作失败", "That did not work"),
    "all_cards": ("全部卡券", "All cards"),
    "off_cash": ("减 %s 元", "¥%s off"),
    "off_least": ("满 %s 元可用", "from ¥%s"),
    "off_percent": ("%s 折", "%s%% off"),
    # card types
    "GROUPON": ("团购券", "Group deal"),
    "CASH": ("代金券", "Cash coupon"),
    "DISCOUNT": ("折扣券", "Discount coupon"),
    "GIFT": ("兑换券", "Gift coupon"),
    "GENERAL_COUPON": ("优惠券", "Coupon"),
    "MEMBER_CARD": ("会员卡", "Member card"),
    "GENERAL_CARD": ("礼品卡", "Gift card"),
    "MEETING_TICKET": ("会议门票", "Meeting ticket"),
    "SCENIC_TICKET": ("景区门票", "Scenic ticket"),
    "MOVIE_TICKET": ("电影票", "Movie ticket"),
    "BOARDING_PASS": ("飞机票", "Boarding pass"),
    # states
    "NORMAL": ("可使用", "Usable"),
    "NOT_YET": ("未到使用时间", "Not yet valid"),
    "CONSUMED": ("已使用", "Used"),
    "EXPIRE": ("已过期", "Expired"),
    "GIFTING": ("转赠中", "Being given"),
    "GIFT_TIMEOUT": ("转赠超时", "Gift not accepted"),
    "GIFT_SUCC": ("已转赠", "Given away"),
    "DELETE": ("已删除", "Deleted"),
    "UNAVAILABLE": ("已失效", "Invalid"),
    # refusals
    "e40003": ("这张卡券不能由该用户领取。", "This card is not for this person."),
    "e40053": ("二维码已失效或已被使用。", "The QR code is expired or used."),
    "e40056": ("卡券不存在。", "There is no such card."),
    "e40078": ("卡券已被商家删除。", "The shop has deleted this card."),
    "e40079": ("不在有效期内。", "Outside its validity."),
    "e40080": ("这张卡券不能指定卡号。", "This card takes no given code."),
    "e40116": ("卡号已被使用。", "The code is taken."),
    "e40127": ("卡券状态已改变。", "The card's state has changed."),
    "e40150": ("这张卡券不能转赠。", "This card cannot be given away."),
    "e41013": ("这张卡券要由商家发放。", "The shop must hand this card out."),
    "e45031": ("已经领完了。", "None left."),
    "e45033": ("你已达到领取上限。", "You have as many as allowed."),
    "e72020": ("已达到使用次数上限。", "Used as often as allowed."),
    "e72022": (
        "卡券正在审核，只有白名单用户可以领取。",
        "In review: only people on the test white list may receive it.",
    ),
}


def text(key: str, lang: str) -> str:
    """Return a text in a language."""
    pair = TEXTS.get(key)
    if pair is None:
        return key
    return pair[LANGUAGES.index(lang)]


def reason(errcode: int | str, lang: str) -> str:
    """Return the sentence for a refusal."""
    return text(f"e{errcode}", lang) if f"e{errcode}" in TEXTS else str(errcode)
