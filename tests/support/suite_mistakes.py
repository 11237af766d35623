"""A good suite, and every rule of suites with what breaks it."""

from __future__ import annotations

GOOD = """\
suite: small
title: A small suite
dataset: {name: kmnist_sample, resize: 8}
seeds: 2
common:
  model: {name: patch_mixer, patch_size: 4, width: 8, hidden: [8]}
  training:
    epochs: 1
    batch_size: 500
    optimizer: {name: SGD, lr: 0.1}
experiments:
  one:
  two: {model: {width: 16}}
"""

# rule: (what is taken out of the good suite, what is put there instead)
SUITE_RULES = {
    "duplicate-key": ("seeds: 2", "seeds: 2\nseeds: 3"),
    "quoted-number": ("lr: 0.1", "lr: '1e-3'"),
    "number-too-large": ("lr: 0.1", "lr: 1e400"),
    "digits-too-many": ("epochs: 1", f"epochs: {'9' * 5000}"),
    "count-too-large": ("batch_size: 500", f"batch_size: {10**30}"),
    "leading-zero": ("batch_size: 500", "batch_size: 0500\n    scheduler: {name: StepLR, step_size: 08}"),
    "no-is-false": ("title: A small suite", "title: no"),
    "octal": ("epochs: 1", "epochs: 010"),
    "base-60": ("epochs: 1", "epochs: 1:30"),
    "date": ("title: A small suite", "title: 2024-01-01"),
    "not-a-number": ("lr: 0.1", "lr: .nan"),
    "merge-key": ("  one:", "  one: {<<: {}}"),
    "alias-of-itself": ("  one:", "  one: &a {model: *a}"),
    "key-not-text": ("  one:", "  1:"),
    "tag": ("title: A small suite", "title: !!binary aGk="),
    "not-yaml": ("seeds: 2", "seeds: [2"),
    "tab": ("  model:", "\tmodel:"),
    "unknown-top-key": ("seeds: 2", "seeds: 2\ntabel: {style: runs}"),
    "unknown-training-key": ("epochs: 1", "epoch: 1"),
    "unknown-optimizer-key": ("lr: 0.1", "lr: 0.1, momentm: 0.9"),
    "unknown-experiment-key": ("  one:", "  one: {trainig: {}}"),
    "unknown-dataset": ("kmnist_sample", "kmnist_samples"),
    "unknown-dataset-key": ("resize: 8", "rezise: 8"),
    "resize-range": ("resize: 8", "resize: 0"),
    "unknown-optimizer": ("name: SGD", "name: sgd"),
    "optimizer-without-name": ("name: SGD, ", ""),
    "optimizer-without-lr": (", lr: 0.1", ""),
    "lr-range": ("lr: 0.1", "lr: 0"),
    "lr-text": ("lr: 0.1", "lr: fast"),
    "betas-count": ("name: SGD, lr: 0.1", "name: Adam, lr: 0.1, betas: [0.9]"),
    "nesterov-without-momentum": ("lr: 0.1", "lr: 0.1, nesterov: true"),
    "setting-of-another-optimizer": ("lr: 0.1", "lr: 0.1, amsgrad: true"),
    "unknown-scheduler": ("epochs: 1", "epochs: 1\n    scheduler: {name: StepLr, step_size: 1}"),
    "scheduler-range": ("epochs: 1", "epochs: 1\n    scheduler: {name: StepLR, step_size: 0}"),
    **{
        f"recipe-{rule}": ("epochs: 1", f"epochs: 1\n    {training}")
        for rule, training in {
            "schedule-per": "scheduler: {name: cosine, per: batch}",
            "schedule-warmup": "scheduler: {name: cosine, warmup_epochs: -1}",
            "schedule-key": "scheduler: {name: cosine, eta_min: 0.1}",
            "schedule-final": "scheduler: {name: cosine, final: 2}",
            "schedule-own-module": "scheduler: {name: 'no_such:falling'}",
            "schedule-own-setting": "scheduler: {name: 'tests.support.own_training:falling'}",
            "schedule-own-negative": "scheduler: {name: 'tests.support.own_training:negative'}",
            "clip-range": "clip_grad_norm: 0",
            "accumulate-range": "accumulate: 0",
            "ema-range": "ema: {decay: 1}",
            "ema-and-swa": "ema: {decay: 0.9}\n    swa: {start_epoch: 1}",
            "swa-after-the-end": "swa: {start_epoch: 2}",
            "best-without-validation": "epoch: best_on_validation",
            "stopping-without-validation": "early_stopping: {patience: 2}",
            "stopping-by-test": "early_stopping: {patience: 2, by: test_loss}",
        }.items()
    },
    "optimizer-own-module": ("name: SGD", "name: 'no_such:sgd'"),
    "optimizer-own-returns": ("name: SGD", "name: 'tests.support.own_training:falling', power: 1"),
    "optimizer-own-setting": ("name: SGD", "name: 'tests.support.own_training:sgd'"),
    "optimizer-muon": ("name: SGD", "name: Muon"),
    "no-decay-word": ("lr: 0.1", "lr: 0.1, no_decay: [norms]"),
    "choose-by": ("seeds: 2", "seeds: 2\nchoose: {by: accuracy}"),
    "unknown-precision": ("epochs: 1", "epochs: 1\n    precision: fp23"),
    "label-smoothing-range": ("epochs: 1", "epochs: 1\n    loss: {label_smoothing: 2.0}"),
    "unknown-loss": ("epochs: 1", "epochs: 1\n    loss: {name: mse}"),
    **{
        f"loss-{rule}": ("epochs: 1", f"epochs: 1\n    loss: {{{loss}}}")
        for rule, loss in {
            "setting": "name: binary, gamma: 2",
            "word": "name: [focal]",
            "binary-classes": "name: binary",
            "weights-word": "class_weights: balance",
            "weights-range": "class_weights: [1, 0]",
            "weights-count": "class_weights: [1, 2, 0.5]",
            "own-module": "name: 'no_such:focal'",
            "own-callable": "name: 'tests.support.own_losses:focl'",
            "own-setting": "name: 'tests.support.own_losses:focal', gama: 2",
            "own-mean": "name: 'tests.support.own_losses:mean'",
            "own-sees-batch": "name: 'tests.support.own_losses:centred'",
            "own-draws": "name: 'tests.support.own_losses:noisy'",
            "own-without-gradient": "name: 'tests.support.own_losses:without_gradient'",
        }.items()
    },
    **{
        f"augment-{rule}": ("epochs: 1", f"epochs: 1\n    augment: {augment}")
        for rule, augment in {
            "no-list": "{name: flip}",
            "word": "[flip]",
            "unknown": "[{name: flip}, {name: crop, padding: 2}]",
            "without-name": "[{padding: 2}]",
            "unknown-key": "[{name: pad_crop, pading: 2}]",
            "padding-range": "[{name: pad_crop, padding: 0}]",
            "padding-mode": "[{name: pad_crop, padding: 2, padding_mode: edge}]",
            "reflects-too-much": "[{name: pad_crop, padding: 8, padding_mode: reflect}]",
            "shift-range": "[{name: shift, fraction: 1}]",
            "degrees-range": "[{name: rotation, degrees: 200}]",
            "flip-direction": "[{name: flip, direction: diagonal}]",
            "flip-never": "[{name: flip, p: 0}]",
            "cutout-size": "[{name: cutout, size: 9}]",
            "cutout-half": "[{name: cutout, size: 2.5}]",
            "erasing-order": "[{name: random_erasing, scale: [0.3, 0.1]}]",
            "erasing-ratio": "[{name: random_erasing, ratio: [1, 2, 3]}]",
            "jitter-nothing": "[{name: color_jitter}]",
            "jitter-hue": "[{name: color_jitter, hue: 0.6}]",
            "jitter-grey": "[{name: color_jitter, saturation: 0.5}]",
            "mixup-alpha": "[{name: mixup, alpha: 0}]",
            "two-mix": "[{name: mixup, alpha: 0.2}, {name: flip}, {name: cutmix}]",
            "magnitude": "[{name: rand_augment_affine, magnitude: 31}]",
        }.items()
    },
    "epochs-not-whole": ("epochs: 1", "epochs: 1.5"),
    "batch-size-range": ("batch_size: 500", "batch_size: 0"),
    "epochs-huge": ("epochs: 1", f"epochs: 1{'0' * 400}"),
    "model-setting-huge": ("width: 8", "width: 10000000000"),
    "half-width-tiny": ("seeds: 2", "seeds: {half_width_points: 1.0e-300}"),
    "margin-range": (
        "seeds: 2",
        "seeds: 2\n"
        "published: {dataset: kmnist, source: s, margin_points: 1.0e+300, rounding_points: 1000, "
        "experiments: {one: {test_accuracy: 0.9}}}",
    ),
    "flag-not-boolean": ("epochs: 1", "epochs: 1\n    allow_rank_dependent: 1"),
    "training-missing": ("    epochs: 1\n", ""),
    "unknown-model": ("name: patch_mixer", "name: patch_mixr"),
    "model-without-name": ("name: patch_mixer, ", ""),
    "unknown-model-setting": ("patch_size: 4", "patch_sise: 4"),
    "model-setting-range": ("width: 8", "width: 0"),
    "model-setting-type": ("hidden: [8]", "hidden: 8"),
    "model-setting-empty": ("hidden: [8]", "hidden: []"),
    "suite-name": ("suite: small", "suite: ../small"),
    "suite-missing": ("suite: small\n", ""),
    "title-type": ("title: A small suite", "title: 3"),
    "experiment-name": ("  one:", "  a/b:"),
    "no-experiments": ("  one:\n  two: {model: {width: 16}}", "  {}"),
    "experiments-empty": ("  one:\n  two: {model: {width: 16}}", ""),
    "equal-experiments": ("  two: {model: {width: 16}}", "  two:"),
    "dataset-missing": ("dataset: {name: kmnist_sample, resize: 8}\n", ""),
    "dataset-word": ("dataset: {name: kmnist_sample, resize: 8}", "dataset: kmnist"),
    "seeds-count": ("seeds: 2", "seeds: 0"),
    "seeds-word": ("seeds: 2", 'seeds: "3"'),
    "seeds-twice": ("seeds: 2", "seeds: [1, 1]"),
    "seeds-negative": ("seeds: 2", "seeds: [-1]"),
    "seeds-empty": ("seeds: 2", "seeds: []"),
    "table-style": ("seeds: 2", "seeds: 2\ntable: {style: rows}"),
    "published-experiment": (
        "seeds: 2",
        "seeds: 2\npublished: {dataset: kmnist, source: s, experiments: {onn: {train_loss: 1.0}}}",
    ),
    "published-percent": (
        "seeds: 2",
        "seeds: 2\npublished: {dataset: kmnist, source: s, experiments: {one: {test_accuracy: 94.2}}}",
    ),
    "published-runs": (
        "seeds: 2",
        "seeds: 2\n"
        "published: {dataset: kmnist, source: s, runs: 3, experiments: {one: {train_loss: [1.0, 2.0]}}}",
    ),
    "published-curves": (
        "seeds: 2",
        "seeds: 2\npublished: {dataset: kmnist, source: s, curves: none.csv, experiments: {}}",
    ),
    "extends-missing": ("seeds: 2", "seeds: 2\nextends: none.yaml"),
    "extends-itself": ("seeds: 2", "seeds: 2\nextends: suite.yaml"),
    "extends-type": ("seeds: 2", "seeds: 2\nextends: [a.yaml]"),
    "matrix-root": ("  one:", "  one: {matrix: {dataset.resize: [8]}}"),
    "matrix-values": ("  one:", "  one: {matrix: {model.width: 8}}"),
    "matrix-type": ("  one:", "  one: {matrix: [model.width]}"),
    "list-at-top": (GOOD, "- suite\n"),
    "empty-file": (GOOD, ""),
    "many-at-once": (
        GOOD,
        GOOD.replace("small\n", "a b\n").replace("seeds: 2", "seeds: 0").replace("epochs: 1", "epochs: ten")
        + "  three: {model: {width: -1}}\ntabel: 1\n",
    ),
    "own-model-module": (
        "name: patch_mixer, patch_size: 4, width: 8, hidden: [8]",
        "name: 'no_such:build', width: 8",
    ),
    "own-model-attribute": (
        "name: patch_mixer, patch_size: 4, width: 8, hidden: [8]",
        "name: 'tests.support.own_models:plainn', width: 8",
    ),
    "own-model-setting": (
        "name: patch_mixer, patch_size: 4, width: 8, hidden: [8]",
        "name: 'tests.support.own_models:plain', width: 8",
    ),
    "library-model": (
        "name: patch_mixer, patch_size: 4, width: 8, hidden: [8]",
        "name: 'torchvision:resnet19'",
    ),
    "library-setting": (
        "name: patch_mixer, patch_size: 4, width: 8, hidden: [8]",
        "name: 'torchvision:alexnet', drop: 0.5",
    ),
    "model-refuses": ("patch_size: 4", "patch_size: 3"),
    "model-draws-randomness": (
        "{name: patch_mixer, patch_size: 4, width: 8, hidden: [8]}\n",
        "{name: 'tests.support.own_models:noisy_layer'}\n",
    ),
    "model-sees-other-rows": (
        "{name: patch_mixer, patch_size: 4, width: 8, hidden: [8]}\n",
        "{name: 'tests.support.odd_models.rows_and_draws:earlier_rows'}\n",
    ),
    "model-keeps-state": (
        "{name: patch_mixer, patch_size: 4, width: 8, hidden: [8]}\n",
        "{name: 'tests.support.odd_models.hidden_state:step_counter'}\n",
    ),
}
