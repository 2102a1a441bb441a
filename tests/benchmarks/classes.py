"""The twenty classes that drawings are judged on: animals of many kinds, things, food, a flower."""

CLASSES = {
    47: "African chameleon", 130: "flamingo", 84: "peacock", 145: "king penguin", 9: "ostrich",
    71: "scorpion", 107: "jellyfish", 323: "monarch", 285: "Egyptian cat", 292: "tiger",
    340: "zebra", 388: "giant panda", 417: "balloon", 470: "candle", 779: "school bus",
    817: "sports car", 562: "fountain", 963: "pizza", 949: "strawberry", 985: "daisy",
}  # fmt: skip
