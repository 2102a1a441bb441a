"""Differentiable programming for JAX: optimize any node or edge of a program against any scalar cost."""

from diffprog import _importing
from diffprog import blocks as blocks
from diffprog import graph as graph
from diffprog import machine as machine
from diffprog import models as models
from diffprog import rules as rules
from diffprog import vision as vision
from diffprog import weights as weights
from diffprog.errors import BadFile as BadFile
from diffprog.errors import DiffprogError as DiffprogError
from diffprog.errors import InvalidInput as InvalidInput
from diffprog.errors import Unreachable as Unreachable
from diffprog.graph import Graph as Graph
from diffprog.graph import backprop as backprop
from diffprog.graph import cut as cut
from diffprog.graph import diagnose as diagnose
from diffprog.graph import override as override
from diffprog.graph import overrides as overrides
from diffprog.graph import tap as tap
from diffprog.graph import trace as trace
from diffprog.graph.objectives import accentuation as accentuation
from diffprog.graph.objectives import activation_weights as activation_weights
from diffprog.graph.objectives import activations as activations
from diffprog.graph.objectives import alignment as alignment
from diffprog.graph.objectives import caricature as caricature
from diffprog.graph.objectives import channel as channel
from diffprog.graph.objectives import direction as direction
from diffprog.graph.objectives import direction_neuron as direction_neuron
from diffprog.graph.objectives import diversity as diversity
from diffprog.graph.objectives import feature_inversion as feature_inversion
from diffprog.graph.objectives import interpolate as interpolate
from diffprog.graph.objectives import layer as layer
from diffprog.graph.objectives import log_probability as log_probability
from diffprog.graph.objectives import logit as logit
from diffprog.graph.objectives import naturalness as naturalness
from diffprog.graph.objectives import neuron as neuron
from diffprog.graph.objectives import style as style
from diffprog.graph.objectives import target as target
from diffprog.graph.objectives import unit as unit
from diffprog.guide import Guided as Guided
from diffprog.guide import augments as augments
from diffprog.guide import generators as generators
from diffprog.guide import guide as guide
from diffprog.guide import invert as invert
from diffprog.guide import judged as judged
from diffprog.guide import priors as priors
from diffprog.guide import prompt as prompt
from diffprog.guide import scorers as scorers
from diffprog.machine import one_by_one as one_by_one
from diffprog.machine import tune as tune
from diffprog.optimize import optimize as optimize
from diffprog.optimize import train as train
from diffprog.vision import Drawing as Drawing
from diffprog.vision import Recipe as Recipe
from diffprog.vision import activation_grid as activation_grid
from diffprog.vision import attribution as attribution
from diffprog.vision import attribution_weighted as attribution_weighted
from diffprog.vision import dream as dream
from diffprog.vision import guided as guided
from diffprog.vision import influence as influence
from diffprog.vision import measures as measures
from diffprog.vision import read_photo as read_photo
from diffprog.vision import recipes as recipes
from diffprog.vision import redraw as redraw
from diffprog.vision import sweep as sweep
from diffprog.vision import visualize as visualize

__version__ = "0.1.0"

_importing.finished()
