"""Draw writing briefs for synthetic reviews: what is reviewed, by whom, how, and under what kind of title.

    python -m resumen.authoring.briefs LANGUAGE COUNT SEED > briefs.jsonl

One brief a line. A brief says what a review holds, never how a sentence runs: the text is written, one review at a time, by
somebody who was told what stands in `texts/README.md`. A seed that begins with `goods` draws things of the ten other categories
instead of books. Shares are set so that lead-3 scores near the published figures of the real corpus (`measures.py`); parts fit
together: no angry five-star review, no torn binding of an e-book.
"""

import json
import random
import sys

FICTION = (
    "crime novel|romance|fantasy saga|science fiction|historical novel|literary novel|young adult novel|horror|short stories|"
    "family saga|classic in a cheap edition|school reading|comic or manga|poetry"
).split("|")
FACT = (
    "biography|memoir|popular history|popular science|essay|true crime|self-help|business|travel guide|parenting|health and diet|"
    "religion or spirituality|politics"
).split("|")
PRACTICAL = (
    "cookbook|baking|language textbook|exam preparation|programming manual|gardening|knitting and crafts|drawing course|yoga or "
    "exercise|guitar method|spreadsheet manual|do-it-yourself"
).split("|")
CHILDREN = (
    "picture book|first words board book|children's adventure|activity book|colouring book|bedtime stories".split("|")
)
PAPER = "planner|wall calendar|notebook or journal|recipe notebook|photo book|atlas".split("|")
KINDS = [(FICTION, 46), (FACT, 22), (PRACTICAL, 16), (CHILDREN, 9), (PAPER, 7)]

STORY = "plot|pace|characters|ending|writing style|atmosphere|dialogue|humour|part of a series|compared with the author's other books"
STORY += (
    "|read in one sitting|gave up half-way|too short or too long|predictable or surprising|historical or factual slips"
)
KNOWLEDGE = "usefulness|accuracy|how well it is explained|repetitive|sources|level of difficulty|examples|too short or too long|bias"
KNOWLEDGE += "|expected something else|what the reader did with it"
DOING = "tried it out|how well it is explained|level of difficulty|ingredients or materials hard to find|exercises and answers|pictures"
DOING += "|organization and index|mistakes in it|out of date|good for beginners or not"
CHILD = "the child's reaction|illustrations|age range|sturdiness|text too long or too simple|read again and again|bought as a gift"
OBJECT = "paper quality|size|layout|binding|cover|missing or wrong dates|bought as a gift|pens bleed through"
TOPICS = {id(FICTION): STORY, id(FACT): KNOWLEDGE, id(PRACTICAL): DOING, id(CHILDREN): CHILD, id(PAPER): OBJECT}
ANY = "price|recommended by somebody|differs from the description|translation|cover|expected more|bought a second one"
ANY = (ANY + "|thanks to the author|waiting for the next volume|a plain summary of the content|gift was liked").split(
    "|"
)
GLAD = {
    "thanks to the author",
    "waiting for the next volume",
    "gift was liked",
    "bought a second one",
    "bought as a gift",
}
DELIVERY = ["delivery was fine, as described"]
FAULTS = {
    "differs from the description",
    "expected more",
    "gave up half-way",
    "repetitive",
    "mistakes in it",
    "out of date",
    "typos from scanning",
}
FAULTS |= {
    "ingredients or materials hard to find",
    "missing or wrong dates",
    "pens bleed through",
    "historical or factual slips",
    "bias",
}
PRINT = "print quality or binding|arrived damaged|arrived late|size of the print|second-hand copy sold as new|wrong edition sent".split(
    "|"
)
SCREEN = "formatting of the e-book|typos from scanning|pictures too small on the device|sample against the whole|cannot be opened or sent to "
SCREEN = (SCREEN + "the device|footnotes and links|file size").split("|")

VOICES = {
    1: "plain|plain|plain|angry|disappointed|laconic|practical, lists facts|chatty",
    2: "plain|plain|plain|disappointed|annoyed|laconic|practical, lists facts|tired",
    3: "plain|plain|plain|undecided|fair|laconic|chatty|practical, lists facts",
    4: "plain|plain|plain|enthusiastic|fair|laconic|chatty|practical, lists facts",
    5: "plain|plain|plain|enthusiastic|enthusiastic|grateful|laconic|chatty",
}
SPELLING = {
    "clean": 46,
    "clean but for one missing accent, apostrophe or comma": 16,
    "careless: all lower case, run-on": 5,
    "careless: capitals here and there, accents or apostrophes missing, ends with a stop": 9,
    "careless: normal capitals, a comma splice, no final stop": 5,
    "careless: one common spelling mistake": 5,
    "emphatic: capitals or several !!! or a stretched word, not all of them": 8,
    "dots ... or a bracket (like this)": 4,
    "abbreviations as in a text message": 1,
    "one emoji or smiley": 1,
}
LENGTH = {
    "4-9 words": 18,
    "10-16 words": 18,
    "17-29 words": 32,
    "30-55 words": 21,
    "56-110 words": 9,
    "150-260 words": 2,
}
DETAIL = {  # most customers judge and say little else
    "none: a verdict in everyday words": 36,
    "one vague reason": 32,
    "one concrete thing": 23,
    "several things": 9,
}
TITLE = {
    "a bare verdict of 1-2 words": 30,
    "stars in words, such as Five Stars": 3,
    "a phrase of 3-7 words from the beginning of the review, word for word": 6,
    "a phrase of 3-7 words that stands word for word later in the review": 10,
    "the main point in other words, 3-8 words, sharing a word or two with the review": 16,
    "the main point in words that the review does not use, 3-6 words": 9,
    "a verdict of 3-5 words that would fit many reviews": 18,
    "the point and its reservation, in natural words": 4,
    "a warning, a question or a wish": 4,
}
OPENING = {
    "the verdict": 32,
    "I, or: this book / this thing": 24,
    "why it was bought": 12,
    "the thing itself": 12,
    "when or where it was read or used": 3,
    "somebody else's reaction": 3,
    "a comparison": 4,
    "the best part": 4,
    "a doubt": 3,
    "an order to the reader": 2,
    "a number": 1,
}
PLACES = {
    "en": {
        "United States": 60,
        "United Kingdom": 24,
        "Ireland, Canada or Australia": 10,
        "English as a second language": 6,
    },
    "es": {
        "Spain": 54,
        "Mexico": 18,
        "Argentina or Uruguay": 9,
        "Colombia or Venezuela": 9,
        "Chile or Peru": 7,
        "Spanish speaker in the United States": 3,
    },
}


OTHER = {  # ten more categories: (things, topics)
    "apparel": (
        "t-shirt|jumper|jeans|winter coat|dress|socks|pyjamas|work trousers|underwear|scarf and gloves|raincoat|hoodie",
        "fit and size|fabric|colour differs from the pictures|washing|seams|comfort|warmth|looks in real life",
    ),
    "beauty": (
        "shampoo|face cream|mascara|nail polish|sun cream|hair straightener|perfume|lip balm|beard oil|make-up brushes|body lotion|hair dye",
        "smell|effect on skin or hair|lasts or not|quantity for the money|allergy or irritation|texture|pump or lid|compared with the one used before",
    ),
    "home": (
        "bed linen|cushion|curtains|desk lamp|shelf|storage boxes|pillow|rug|wall clock|shower curtain|candle holder|folding chair|mattress cover",
        "assembly|material|colour and look|size|stability|comfort|instructions|smell when new|easy to clean",
    ),
    "kitchen": (
        "frying pan|coffee machine|kettle|knife set|blender|lunch box|baking tin|toaster|kitchen scales|water bottle|set of glasses|garlic press|air fryer",
        "easy to clean|noise|broke after a while|capacity|material|works as it should|heat|lid or handle|instructions",
    ),
    "pc": (
        "wireless mouse|keyboard|laptop stand|USB hub|hard disk|memory stick|monitor|webcam|ink cartridge|router|laptop sleeve|graphics card|headset",
        "set-up|compatibility|speed|build quality|battery|drivers|connection drops|noise or heat|size",
    ),
    "pet_products": (
        "dog bed|cat litter|dog lead|scratching post|dry food|chew toy|aquarium filter|harness|cat flap|grooming brush|bird cage|poop bags",
        "the animal's reaction|lasts or torn at once|size|smell|easy to clean|safety|quantity for the money",
    ),
    "shoes": (
        "trainers|hiking boots|sandals|slippers|school shoes|high heels|rain boots|work shoes|ballet flats|children's shoes|insoles|winter boots",
        "fit and size|comfort|sole|came apart|waterproof or not|colour|wide or narrow feet|blisters|smell when new",
    ),
    "sports": (
        "yoga mat|resistance bands|bicycle light|tent|sleeping bag|water bottle holder|football|swimming goggles|dumbbells|bike pump|backpack|running belt|fishing rod",
        "works as it should|material|size or weight|comfort|broke after a while|waterproof or not|instructions|good for beginners or not",
    ),
    "toy": (
        "building blocks|doll|puzzle|board game|remote-controlled car|soft toy|play kitchen|card game|water pistol|train set|modelling clay|kite|science kit",
        "the child's reaction|age range|sturdiness|missing parts|instructions|batteries|smaller than expected|bought as a gift|noise",
    ),
    "wireless": (
        "phone case|screen protector|charging cable|power bank|earphones|phone holder for the car|Bluetooth speaker|smart watch strap|wireless charger|adapter|selfie stick|mobile phone",
        "fit|charging speed|sound|battery|broke after a while|scratches|connection|looks|thickness or weight",
    ),
}
GOODS_ANY = "price|recommended by somebody|differs from the description|expected more|bought a second one|as described|compared with a dearer one|customer service"
GOODS_FAULTS = {
    "differs from the description",
    "expected more",
    "broke after a while",
    "came apart",
    "missing parts",
    "colour differs from the pictures",
}
GOODS_FAULTS |= {"connection drops", "blisters", "allergy or irritation", "smaller than expected", "scratches"}
PARCEL = "arrived damaged|arrived late|wrong size or colour sent|used item sold as new|part missing".split("|")


def pick(rng: random.Random, shares):
    """Return a value drawn by its weight, from a mapping or from pairs."""
    table = shares.items() if isinstance(shares, dict) else shares
    values, weights = zip(*table, strict=True)
    return rng.choices(values, weights)[0]


def draw(rng: random.Random, language: str, books: bool = True) -> dict:
    """Return one brief: about a book or an e-book, else about a thing of another category."""
    kinds = pick(rng, KINDS)
    if not books:
        category = rng.choice(sorted(OTHER))
        things, its_topics = OTHER[category]
        kinds = things.split("|")
    else:
        category = "book" if kinds in (CHILDREN, PAPER) else pick(rng, {"book": 58, "digital_ebook_purchase": 42})
    stars = rng.randint(1, 5)
    length = pick(rng, LENGTH)
    shares = dict(DETAIL)
    if stars == 5 and length in ("4-9 words", "10-16 words", "17-29 words"):
        shares["none: a verdict in everyday words"] = 57
    if length in ("56-110 words", "150-260 words"):
        shares["none: a verdict in everyday words"] = 0
        shares["several things"] = 60
    detail = pick(rng, shares)
    if books:
        pool = TOPICS[id(kinds)].split("|") * 3 + ANY + (PRINT + DELIVERY if category == "book" else SCREEN)
    else:
        pool = its_topics.split("|") * 3 + GOODS_ANY.split("|") + PARCEL + DELIVERY
    if stars >= 4:  # few faults are told with four or five stars
        pool = [
            topic
            for topic in pool
            if topic not in {*FAULTS, *PRINT, *SCREEN, *GOODS_FAULTS, *PARCEL} or rng.random() < 0.12
        ]
    if stars <= 2:
        pool = [topic for topic in pool if topic not in GLAD]
    most = {"none": 0, "one vague reason": 1, "one concrete thing": 1}.get(detail.split(":")[0], 4)
    if length in ("4-9 words", "10-16 words"):
        most = min(most, 1)
    topics = list(dict.fromkeys(rng.choice(pool) for _ in range(rng.randint(min(1, most), most))))
    if rng.random() < 0.04:
        topics = ["only delivery, parcel, seller or refund: nothing about the thing itself"]
    return {
        "category": category,
        "about": rng.choice(kinds),
        "stars": stars,
        "detail": detail,
        "topics": topics,
        "voice": rng.choice(VOICES[stars].split("|")),
        "spelling": pick(rng, SPELLING),
        "from": pick(rng, PLACES[language]),
        "length": length,
        "begins with": pick(rng, OPENING),
        "title": pick(rng, TITLE),
    }


def main() -> None:
    """Print the briefs that the command line asks for."""
    language, count, seed = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    books = not seed.startswith("goods")
    rng = random.Random(f"{language}-{seed}")
    for number in range(1, count + 1):
        print(json.dumps({"n": number, **draw(rng, language, books)}, ensure_ascii=False))


if __name__ == "__main__":
    main()
