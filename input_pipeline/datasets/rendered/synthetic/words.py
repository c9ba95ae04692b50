"""The texts of synthetic pictures: common words and made-up numbers, divided between training and test."""

import zlib
from collections.abc import Callable
from typing import Literal

import numpy as np

Split = Literal["train", "test"]

_LIST = """
able about above accept across action active actor advice after again agency airport album alley almost
along always amber anchor animal answer apple april arch area arena arrow artist aspen atlas august autumn
avenue baker balance ballet bamboo banana bank barber basket battery beach bean beauty before bench better
bicycle bird bistro black blanket blossom blue board boat book border bottle bottom boulevard branch brave
bread breakfast bridge bright bring broadway brother brown brush bucket budget builder burger butter button
cabin cafe camera camp canal candle canyon capital captain card career carpet castle catalog cedar center
central chair change chapel charge cheese cherry chicken choice church cinema circle city clean climb clinic
clock closed clothing cloud club coast coffee college color comfort common company compass concert cook
copper corner cotton council country course courtyard cream credit crystal culture curtain custom daily
dance danger daylight deal december deep deliver delta dental design desk dinner direct discount doctor
dolphin door double dragon dream drive driver eagle early earth east easy eight electric elevator emerald
energy engine enjoy entrance evening every exchange exit express fabric factory family famous farmer fashion
fast february fence festival field fifteen film final finish fire fish fitness flag flight floor flower
focus follow forest fork fortune forward fountain fresh friday friend front fruit future gallery garage
garden gate gentle ginger glass global gold golden grand grape gravel green grill grocery group guide guitar
hammer handle happy harbor harvest hazel health heart heaven height helmet heritage highway hill history
holiday home honey hope horizon horse hospital hotel house hundred hunter iceberg idea image income indigo
info inside island ivory jacket january jasmine jazz jewel journal journey juice july jump june jungle
junior justice kettle keyboard king kitchen knife ladder lake lamp language laundry leather lemon lesson
letter liberty library light lily limit linen lion liquid listen little lobby local lodge lotus lucky lunch
luxury machine magic magnet main maple marble march margin marine market master meadow media medical melody
member memory menu metal metro middle midnight milk million mineral mint mirror mobile modern moment monday
money monkey moon morning motor mountain museum music native nature navy needle network never news night
nine noble north notice november number nurse ocean october office olive onion only open opera option orange
orchard organic origin outlet oxygen oyster packet page paint palace palm panda panel paper parade park
parking party passage pastry path peach pearl pencil people pepper perfect phone photo piano picnic pilot
pine pink pizza planet plaza please plum pocket point police polish popular port postal potato power premium
press price private project public pulse pumpkin purple puzzle quality quarter queen quick quiet rabbit
radio railway rainbow ranch rapid recipe record red regent rent repair rescue reserve result ribbon rice
river road robin rocket romance roof room rose royal rubber sailor salad salmon sand saturday school science
scooter season second secret select senior service seven shadow sharp shelter shine shoes shop shore silent
silk silver simple sister sixty sketch smart smile smooth snow soccer social soft solar sound south space
special spice spirit spoon spring square stable stadium staff station steel stone store storm story street
studio sugar summer sunday sunny sunset super supply surf sweet swim symbol system table tailor talent
target taste tavern taxi temple tennis theater thirty thunder ticket tiger timber today toilet token tower
trade traffic trail train travel treasure tree trust tulip tunnel turbo twelve twenty umbrella uncle under
union united unlock upper urban valley value vanilla velvet venture victory video view village vintage
violet vision visit voyage wagon warehouse warning water wave welcome west whale wheat wheel white wild
willow window winner winter wisdom wonder wood world yard yellow yesterday young zebra zero zone
"""
WORDS = _LIST.split()

# One word in four: both splits have many words.
_TEST_SHARE = 4
_STYLES: list[Callable[[str], str]] = [str.lower, str.title, str.upper]
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def word_split(word: str) -> Split:
    """The only split that may show `word`.

    A checksum of its letters and digits decides. So "Open", "OPEN!" and "open" are in one split, and "$19.95" and
    "19.95" too.
    """
    letters = "".join(character for character in word.casefold() if character.isalnum())
    return "test" if zlib.crc32(letters.encode()) % _TEST_SHARE == 0 else "train"


_VOCABULARY: dict[Split, list[str]] = {
    "train": [word for word in WORDS if word_split(word) == "train"],
    "test": [word for word in WORDS if word_split(word) == "test"],
}


def pick_text(rng: np.random.Generator, split: Split) -> str:
    """A run of one to four words of `split`, joined by single spaces: "Harbor", "OPEN DAILY", "$19.95"."""
    count = int(rng.choice([1, 2, 3, 4], p=[0.6, 0.25, 0.1, 0.05]))
    style = _STYLES[rng.integers(3)]
    words = [_pick_number(rng, split) if rng.random() < 0.2 else style(_pick_word(rng, split)) for _ in range(count)]
    if rng.random() < 0.08:
        words[-1] += str(rng.choice(list("!?.:,")))
    return " ".join(words)


def _pick_word(rng: np.random.Generator, split: Split) -> str:
    return _VOCABULARY[split][rng.integers(len(_VOCABULARY[split]))]


def _pick_number(rng: np.random.Generator, split: Split) -> str:
    """A price, year, time, date, percentage or plain number of `split`."""
    while True:
        big, hour, minute, day = (int(rng.integers(*bounds)) for bounds in ((10, 9999), (0, 24), (0, 60), (1, 29)))
        number = (
            f"{big}",
            f"${big / 100:.2f}",
            f"€{big / 100:.2f}",
            f"{hour:02}:{minute:02}",
            f"{day:02}.{hour % 12 + 1:02}.{1950 + minute}",
            f"{_MONTHS[hour % 12]}{day}",
            f"{big % 90 + 10}%",
            f"{1900 + big % 130}",
            f"{hour + 1}-{minute + 10}",
        )[rng.integers(9)]
        if word_split(number) == split:
            return number
