"""Measures of pictures: what a unit and other networks make of them, and how natural their pixels are."""

from diffprog.vision.measures.measure import measure as measure
from diffprog.vision.measures.pixels import color_distance as color_distance
from diffprog.vision.measures.pixels import high_frequency_share as high_frequency_share
from diffprog.vision.measures.pixels import spectral_slope as spectral_slope
from diffprog.vision.measures.record import Measures as Measures
from diffprog.vision.measures.record import to_json as to_json
from diffprog.vision.measures.repeat import Repeated as Repeated
from diffprog.vision.measures.repeat import repeated as repeated
from diffprog.vision.measures.sight import Scores as Scores
from diffprog.vision.measures.sight import held_out as held_out
from diffprog.vision.measures.sight import scores as scores
from diffprog.vision.measures.subject import Subject as Subject
from diffprog.vision.measures.subject import subjects as subjects
from diffprog.vision.measures.transfer import Transfer as Transfer
from diffprog.vision.measures.transfer import transfer as transfer
from diffprog.vision.measures.transfer import wanted_class as wanted_class
from diffprog.vision.measures.variety import Variety as Variety
from diffprog.vision.measures.variety import variety as variety
