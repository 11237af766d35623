"""Descriptions of the parameters of torch's optimizers and learning rate schedulers, by name."""

from __future__ import annotations

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
    # Schedulers, which step once per epoch
    "gamma": "Factor by which the learning rate is multiplied at each change.",
    "step_size": "Number of epochs between two changes of the learning rate.",
    "milestones": "Numbers of completed epochs at which the learning rate changes.",
    "T_max": "Number of epochs in which the learning rate falls from `lr` to `eta_min`.",
    "eta_min": "Lowest learning rate.",
    "start_factor": "Factor on `lr` in the first epoch.",
    "end_factor": "Factor on `lr` after `total_iters` epochs.",
    "total_iters": "Number of epochs over which the learning rate changes.",
    "power": "Exponent of the polynomial; 1 is a linear decay.",
}
