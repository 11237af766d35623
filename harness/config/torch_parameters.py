"""Descriptions of the parameters of torch's optimizers and learning rate schedulers, by name."""

from __future__ import annotations

from typing import Any

DESCRIPTIONS = {
    "name": "Name of the class in torch.",
    # Optimizers
    "lr": "Initial learning rate.",
    "weight_decay": "Weight decay coefficient; it is an L2 penalty unless weight decay is decoupled.",
    "decoupled_weight_decay": "Whether weight decay is decoupled from the gradient, as in AdamW.",
    "momentum": "Momentum factor.",
    "dampening": "Dampening of the momentum: the buffer adds each gradient times 1 − `dampening`.",
    "nesterov": "Whether to use Nesterov momentum; needs `momentum` above 0 and `dampening` 0.",
    "betas": "Decay rates of the running averages of the gradient and of its square.",
    "eps": "Term added to the denominator of the update for numerical stability.",
    "amsgrad": "Whether to use the AMSGrad variant, which divides by the largest second moment so far.",
    "momentum_decay": "Decay rate of the momentum schedule, per step.",
    "alpha": "Decay rate of the running average of squared gradients.",
    "centered": "Whether to normalize the gradient by its estimated variance instead of its second moment.",
    "lr_decay": "Decay of the learning rate: step t uses `lr / (1 + (t - 1) * lr_decay)`.",
    "initial_accumulator_value": "Initial value of the sums of squared gradients.",
    "rho": "Decay rate of the running averages of squared updates and of squared gradients.",
    "lambd": "Decay term: after t steps weights are multiplied by about 1 − `lambd` times the learning rate.",
    "t0": "Number of steps after which averaging begins.",
    "etas": "Factors by which a step size shrinks and grows.",
    "step_sizes": "Least and greatest step size.",
    "beta2_decay": "Exponent of the decay of the running average of squared gradients.",
    "d": "Largest root mean square of an update before it is scaled down.",
    "ns_coefficients": "Coefficients of the Newton-Schulz polynomial.",
    "ns_steps": "Number of Newton-Schulz steps.",
    "adjust_lr_fn": "Scaling of the learning rate by a matrix's shape: as published, or to match AdamW.",
    # Schedulers, which count epochs, or steps with `per: step`
    "gamma": "Factor by which the learning rate is multiplied at each change.",
    "step_size": "Number of epochs between two changes of the learning rate.",
    "milestones": "Numbers of completed epochs at which the learning rate changes.",
    "T_max": "Number of epochs in which the learning rate falls from `lr` to `eta_min`; `null` means all.",
    "T_0": "Number of epochs before the first restart.",
    "T_mult": "Factor by which the number of epochs between restarts grows.",
    "factor": "Factor on `lr` in the first `total_iters` epochs.",
    "base_lr": "Lowest learning rate.",
    "step_size_up": "Number of epochs in which the learning rate rises.",
    "step_size_down": "Number of epochs in which it falls; `null` means as many as it rises.",
    "mode": "Whether the cycles stay as high, halve, or shrink by `gamma`.",
    "total_steps": "Number of epochs of the cycle; `null` means all.",
    "pct_start": "Share of the cycle in which the learning rate rises.",
    "anneal_strategy": "Form of rise and fall: half a cosine or a line.",
    "div_factor": "Ratio of `lr` and the initial learning rate.",
    "final_div_factor": "Ratio of the initial and the last learning rate.",
    "three_phase": "Whether the learning rate falls as slowly as it rose, and then further.",
    "eta_min": "Lowest learning rate.",
    "start_factor": "Factor on `lr` in the first epoch.",
    "end_factor": "Factor on `lr` after `total_iters` epochs.",
    "total_iters": "Number of epochs over which the learning rate changes.",
    "power": "Exponent of the polynomial; 1 is a linear decay.",
}


def describe(schema: dict[str, Any]) -> None:
    """Add to a class's JSON Schema the descriptions of parameters that it does not describe itself."""
    for name, fragment in schema["properties"].items():
        if "description" not in fragment:
            fragment["description"] = DESCRIPTIONS[name]
