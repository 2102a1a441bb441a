"""Every method there is, by name, each made anew on every call: the laws that all methods obey run over this table."""

import optax

from diffprog.optimize import (
    cma_es,
    directional,
    evolution_strategies,
    finite_differences,
    gauss_newton,
    gradient_descent,
    lbfgs,
    levenberg_marquardt,
    momentum,
    nelder_mead,
    nesterov,
    newton,
    newton_cg,
    random_search,
    sgd,
    spsa,
)

FIRST_ORDER = {
    "gradient descent": lambda: gradient_descent(0.1),
    "sgd, schedule": lambda: sgd(optax.exponential_decay(0.1, 10, 0.9)),
    "momentum": lambda: momentum(0.05, 0.8),
    "nesterov": lambda: nesterov(0.05, 0.8),
    "optax.sgd": lambda: optax.sgd(0.05, momentum=0.8, nesterov=True),
    "optax.adam": lambda: optax.adam(0.05),
    "optax.chain": lambda: optax.chain(optax.clip_by_global_norm(1.0), optax.adagrad(0.3)),
}
BLACK_BOX = {
    "finite differences": lambda: finite_differences(momentum(0.05, 0.8)),
    "forward differences": lambda: finite_differences(0.1, central=False),
    "directional": lambda: directional(0.05, directions=4),
    "spsa": lambda: spsa(0.05, directions=2),
    "evolution strategies": lambda: evolution_strategies(optax.adam(0.05), pairs=8),
    "nelder-mead": lambda: nelder_mead(),
    "random search": lambda: random_search(),
    "cma-es": lambda: cma_es(8),
}
SECOND_ORDER = {
    "newton": lambda: newton(),
    "newton, damped": lambda: newton(0.1, search="none"),
    "newton, trust region": lambda: newton(search="trust region"),
    "newton-cg": lambda: newton_cg(),
    "l-bfgs": lambda: lbfgs(),
}
RESIDUALS = {
    "gauss-newton": lambda: gauss_newton(),
    "levenberg-marquardt": lambda: levenberg_marquardt(),
}
METHODS = FIRST_ORDER | BLACK_BOX | SECOND_ORDER
