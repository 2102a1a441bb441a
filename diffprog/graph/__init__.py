"""How nodes make a program: trace any JAX function, name and read its activations, redirect its gradients."""

from diffprog.graph.cut import Cut as Cut
from diffprog.graph.cut import cut as cut
from diffprog.graph.diagnosis.diagnose import diagnose as diagnose
from diffprog.graph.diagnosis.findings import Diagnosis as Diagnosis
from diffprog.graph.diagnosis.findings import Finding as Finding
from diffprog.graph.node import Layer as Layer
from diffprog.graph.overriding import overrides as overrides
from diffprog.graph.overriding.override import override as override
from diffprog.graph.overriding.redirect import redirect_relus as redirect_relus
from diffprog.graph.program import Graph as Graph
from diffprog.graph.skip_gradient import skip_gradient as skip_gradient
from diffprog.graph.stochastic_depth import stochastic_depth as stochastic_depth
from diffprog.graph.sweeps.backprop import backprop as backprop
from diffprog.graph.tap import tap as tap
from diffprog.graph.trace import trace as trace
