"""The classes of the datasets with a name, in label order."""

from __future__ import annotations

DIGITS = tuple("0123456789")
SHAPES = ("disc", "ring", "square", "frame", "triangle", "diamond", "cross", "bars", "star", "crescent")
CLOTHES = (
    "T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip
TISSUES = (
    "adipose", "background", "debris", "lymphocytes", "mucus", "smooth muscle", "normal colon mucosa",
    "cancer-associated stroma", "colorectal adenocarcinoma epithelium",
)  # fmt: skip
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CIFAR100 = tuple(
    """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant flatfish
forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle
mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine
possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle wardrobe whale
willow_tree wolf woman worm
""".split()
)

# WordNet id → name; labels follow the sorted ids, as in every folder of ImageNet (protocols, section 9)
NETTE = {
    "n01440764": "tench",
    "n02102040": "English springer",
    "n02979186": "cassette player",
    "n03000684": "chain saw",
    "n03028079": "church",
    "n03394916": "French horn",
    "n03417042": "garbage truck",
    "n03425413": "gas pump",
    "n03445777": "golf ball",
    "n03888257": "parachute",
}
FRUIT = {
    "n07718472": "cucumber",
    "n07720875": "bell pepper",
    "n07742313": "Granny Smith",
    "n07745940": "strawberry",
    "n07747607": "orange",
    "n07749582": "lemon",
    "n07753113": "fig",
    "n07753275": "pineapple",
    "n07753592": "banana",
    "n07768694": "pomegranate",
}


def numbered(count: int) -> tuple[str, ...]:
    """Return class names 1, 2, …, counted as in ImageNet, for a dataset whose archive has the names."""
    return tuple(str(number) for number in range(1, count + 1))
