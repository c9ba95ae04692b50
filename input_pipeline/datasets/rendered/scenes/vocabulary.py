"""The texts of scenes: words of several scripts, made-up words, numbers, codes and addresses."""

import string
import unicodedata
from collections import Counter
from collections.abc import Callable

import numpy as np

from input_pipeline.datasets.rendered.synthetic.words import WORDS

_LITTLE_LIST = """
a an and are as at be but by can do for from go had has he her his if in is it its may me my no not of off on or our out
she so that the their them they this to up us was we were will with you your
"""
_LITTLE = _LITTLE_LIST.split()
# Parts of made-up words: their letters vary more than those of any list.
_ONSET_LIST = (
    "b bl br c ch cl cr d dr f fl fr g gl gr h j k kr l m n p ph pl pr qu r s sc sh sk sl sm sn sp st str t th tr v w z"
)
_VOWEL_LIST = "a a a e e e e i i i o o o u u y ai au ea ee ie oo ou"
_CODA_LIST = "b ck d f g l ll m n n n ng nd nt p r r r rd rt s s ss st t t th x z"
_ONSETS, _VOWELS, _CODAS = _ONSET_LIST.split(), _VOWEL_LIST.split(), _CODA_LIST.split()
_ACCENTED = dict(zip("aceinosuyzAEOU", "áçéíñöšüýžÄÉÖÜ", strict=True))

_CHINESE = """
的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工也能下过子说产种面而方后多定行学法所民得经十三之进着等部度家
电力里如水化高自二理起小物现实加量都两体制机当使点从业本去把性好应开它合还因由其些然前外天政四日那社义事平形相全表间样与关各重新线内数正心反你明
看原又么利比或但质气第向道命此变条只没结解问意建月公无系军很情者最立代想已通并提直题党程展五果料象员革位入常文总次品式活设及管特件长求老头基资边
流路级少图山统接知较将组见计别她手角期根论运农指几九区强放决西被干做必战先回则任取据处理世受热东百保南北海市城店饭美食品茶酒楼超市医院学校银行药
房请勿安全出口门票价元号站街车停场服务中心公司有限集团广告电话欢迎光临特价优惠便利烟火锅面馆鞋服装女男童金银珠宝眼镜照相理发洗衣维修手机电脑网吧
旅馆宾馆酒店招待所幼儿园小吃早点水果蔬菜肉鱼鸡牛羊川菜粤湘家园花木春夏秋冬红绿蓝白黑黄龙凤福禄寿喜财万千百亿吉祥如意平安
"""
_CHINESE_LETTERS = "".join(_CHINESE.split())
_CYRILLIC = "абвгдежзиклмнопрстуфхцчшщьыэюя"
_GREEK = "αβγδεζηθικλμνξοπρστυφχψω"
_KANA = "".join(map(chr, [*range(0x3042, 0x3094), *range(0x30A2, 0x30F4)]))

SCRIPTS = ("Latin", "Chinese", "Cyrillic", "Greek", "Japanese", "Korean")
_SHARES = (0.74, 0.16, 0.04, 0.02, 0.02, 0.02)
# Ι and ι are Greek, О and о Cyrillic, Ο and ο Greek, and these kana look like strokes and a ring.
_STROKES_AND_RINGS = "01OoIlОоΟοΙι一口ㅇノロヘくしへ"
# The scripts of letters whose names in Unicode begin with another word.
_SCRIPT_OF_NAME = {"Cjk": "Chinese", "Hangul": "Korean", "Hiragana": "Japanese", "Katakana": "Japanese"}
# A line of these scripts has no spaces: it is one word.
UNSPACED = ("Chinese", "Japanese")


def pick_script(rng: np.random.Generator) -> str:
    """One of `SCRIPTS`, most often "Latin"."""
    return str(rng.choice(SCRIPTS, p=_SHARES))


def script_of(text: str) -> str:
    """The script of most letters of a text: one of `SCRIPTS`, or its name in Unicode ("Arabic").

    Any kana makes a text "Japanese". A text without letters is "Latin".
    """
    letters = (letter for letter in unicodedata.normalize("NFKC", text) if unicodedata.category(letter)[0] == "L")
    names = (unicodedata.name(letter, "Latin").replace("-", " ").split()[0].capitalize() for letter in letters)
    counts = Counter(_SCRIPT_OF_NAME.get(name, name) for name in names)
    return "Japanese" if "Japanese" in counts else next((script for script, _ in counts.most_common(1)), "Latin")


def pick_words(rng: np.random.Generator, script: str, count: int) -> list[str]:
    """`count` words of one line, in one style. A script without spaces gives one word of the same length.

    **Arguments:**

    - `script`: one of `SCRIPTS`. Numbers and codes occur in all scripts.
    - `count`: at least 1.
    """
    if script in UNSPACED:
        letters = _CHINESE_LETTERS if script == "Chinese" else _KANA
        length = int(rng.integers(1, 5)) * count + int(rng.integers(0, 3))
        return [_letters(rng, letters, length) if rng.random() < 0.93 else _figures(rng)]
    style = _STYLES[rng.choice(len(_STYLES), p=_STYLE_SHARES)]
    words = [_figures(rng) if rng.random() < 0.15 else style(_SPELLERS[script](rng)) for _ in range(count)]
    return [_punctuate(rng, word) if rng.random() < 0.08 else word for word in words]


def pick_character(rng: np.random.Generator, script: str) -> str:
    """One character that cannot be taken for a stroke or a ring, or a house number of up to three digits."""
    if rng.random() < 0.4:
        return str(rng.integers(2, 10)) if rng.random() < 0.5 else str(rng.integers(10, 1000))
    word = pick_words(rng, script, 1)[0]
    return next((letter for letter in word if letter.isalnum() and letter not in _STROKES_AND_RINGS), "P")


def _latin(rng: np.random.Generator) -> str:
    kind = rng.random()
    if kind < 0.45:
        return WORDS[rng.integers(len(WORDS))]
    if kind < 0.6:
        return _LITTLE[rng.integers(len(_LITTLE))]
    if kind < 0.68:
        return _letters(rng, string.ascii_letters, int(rng.integers(1, 6)))
    word = "".join(
        _pick(rng, _ONSETS) + _pick(rng, _VOWELS) + (_pick(rng, _CODAS) if rng.random() < 0.45 else "")
        for _ in range(rng.choice([1, 2, 3, 4], p=[0.25, 0.4, 0.25, 0.1]))
    )
    if rng.random() < 0.12:
        word = "".join(_ACCENTED.get(letter, letter) if rng.random() < 0.3 else letter for letter in word)
    return word


def _pick(rng: np.random.Generator, choices: list[str]) -> str:
    return choices[rng.integers(len(choices))]


def _letters(rng: np.random.Generator, alphabet: str, length: int) -> str:
    return "".join(alphabet[place] for place in rng.integers(len(alphabet), size=length))


def _korean(rng: np.random.Generator) -> str:
    # Unicode orders syllables by the first consonant, the vowel and the last consonant, which may be missing.
    first, vowel = rng.integers(0, 19, 4), rng.integers(0, 21, 4)
    last = rng.choice([0, 0, 0, 1, 4, 8, 16, 21], 4)
    syllables = [chr(0xAC00 + (a * 21 + b) * 28 + c) for a, b, c in zip(first, vowel, last, strict=True)]
    return "".join(syllables[: rng.integers(1, 5)])


_SPELLERS: dict[str, Callable[[np.random.Generator], str]] = {
    "Latin": _latin,
    "Cyrillic": lambda rng: _letters(rng, _CYRILLIC, int(rng.integers(2, 11))),
    "Greek": lambda rng: _letters(rng, _GREEK, int(rng.integers(2, 11))),
    "Korean": _korean,
}
_STYLES: list[Callable[[str], str]] = [str.lower, str.capitalize, str.upper, str]
_STYLE_SHARES = (0.27, 0.28, 0.42, 0.03)


def _figures(rng: np.random.Generator) -> str:
    """A number, price, time, date, share, code, telephone number, web or mail address."""
    big, small, hour, minute = (int(rng.integers(bound)) for bound in (10 ** int(rng.integers(1, 7)), 100, 24, 60))
    word = WORDS[rng.integers(len(WORDS))]
    capitals = _letters(rng, string.ascii_uppercase, int(rng.integers(1, 4)))
    phone = "-".join(_letters(rng, string.digits, length) for length in (3, 3, 4))
    forms = (
        f"{big}",
        f"{big}",
        f"{small}",
        f"{capitals}{small}",
        f"{capitals}-{big}",
        f"{'$£€¥'[small % 4]}{big % 1000}.{minute:02}",
        f"{small}%",
        f"{hour}:{minute:02}",
        f"{hour + 1:02}/{minute % 12 + 1:02}/{1950 + small}",
        f"{1900 + small}",
        f"#{small}",
        f"({small})",
        f"No.{small}",
        phone,
        f"www.{word}.com",
        f"{word}@{capitals.lower()}.org",
    )
    return forms[rng.integers(len(forms))]


def _punctuate(rng: np.random.Generator, word: str) -> str:
    # A full stop or a hyphen alone would be a speck that nobody calls text. An ampersand alone is text.
    mark = "!?.,:;*-"[rng.integers(8)]
    return (word + mark, f'"{word}"', f"({word})", f"{word}'s", "&")[rng.choice(5, p=[0.62, 0.1, 0.12, 0.1, 0.06])]
