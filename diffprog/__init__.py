"""Differentiable programming for JAX: optimize any node or edge of a program against any scalar cost."""

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
from diffprog.graph.naturalness import naturalness as naturalness
from diffprog.graph.objective import channel as channel
from diffprog.graph.objective import layer as layer
from diffprog.graph.objective import log_probability as log_probability
from diffprog.graph.objective import logit as logit
from diffprog.graph.objective import neuron as neuron
from diffprog.graph.objective import unit as unit
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
from diffprog.vision import recipes as recipes
from diffprog.vision import redraw as redraw
from diffprog.vision import visualize as visualize

__version__ = "0.1.0"
