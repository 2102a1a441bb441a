"""Optimize any pytree against any scalar cost."""

from diffprog.optimize.loop import Result as Result
from diffprog.optimize.loop import Stage as Stage
from diffprog.optimize.loop import State as State
from diffprog.optimize.loop import compiled as compiled
from diffprog.optimize.loop import initial as initial
from diffprog.optimize.loop import optimize as optimize
from diffprog.optimize.loop import stepper as stepper
from diffprog.optimize.saved import load_tree as load_tree
from diffprog.optimize.saved import save_tree as save_tree
from diffprog.optimize.shuffling import batches as batches
from diffprog.optimize.training import Metrics as Metrics
from diffprog.optimize.training import Trained as Trained
from diffprog.optimize.training import train as train
