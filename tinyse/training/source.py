"""Networks that a compression run reads: the one it starts from, and those it follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from keras import ops
from numpy.typing import NDArray

from tinyse.errors import InputError
from tinyse.features import BANDS, FEATURE_CLIP, Normalisation
from tinyse.network import features_in_graph as graph
from tinyse.network.build import Parameters, forward, layer_names, shapes
from tinyse.network.quantised import Activations
from tinyse.network.tensors import Tensor
from tinyse.quant import FloatNetwork, read_weights
from tinyse.recipe import Network
from tinyse.sparsity import calibration
from tinyse.training.losses import Batch, mixed


@dataclass
class Source:
    """A float network that a run starts from, or whose mask it follows.

    weights : all arrays of its weights.npz; activations : by its ranges, for the whole run
    """

    weights: dict[str, NDArray]
    network: Network
    activations: Activations
    normalisation: Normalisation

    @classmethod
    def read(cls, path: Path) -> Source:
        """Of a weights.npz; InputError where it holds a network that a recipe cannot say."""
        floats = read_weights(path)
        if len(floats.mean) != BANDS:
            what = f"was trained on {len(floats.mean)} features a frame, not {BANDS}"
            raise InputError(what, path, "prune it with --method offline, and without --data")
        with np.load(path) as file:
            arrays = {name: file[name] for name in file.files}
        normalisation = Normalisation(floats.mean, floats.std)
        return cls(arrays, _table_of(floats, path), Activations.of(floats), normalisation)

    def taught_by(self, path: Path) -> Teacher:
        """The network in `path`, which may have been trained on other statistics than this one."""
        teacher = Source.read(path)
        own, learner = teacher.normalisation, self.normalisation
        return Teacher.of(teacher.network, teacher.parameters, own, learner)

    @property
    def statistics(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Mean and deviation of every feature, [128] each."""
        return self.normalisation.mean, self.normalisation.std

    @property
    def parameters(self) -> Parameters:
        """What a step can change."""
        return {name: self.weights[name] for name in shapes(self.network)}

    def energies(self, batch: Batch) -> dict[str, NDArray[np.float64]]:
        """E x^2 of every input of every matrix, over one batch of the feed."""
        statistics = self.normalisation
        frames = graph.feature_frames(mixed(batch)[0], statistics.mean, statistics.std)
        return calibration.energies(calibration.forward(self.weights, np.asarray(frames)).inputs)


@dataclass(frozen=True)
class Teacher:
    """A float network whose mask is followed.

    scale, offset : [128] from the features of the network that learns to its own
    """

    network: Network
    parameters: Parameters
    scale: NDArray[np.float32]
    offset: NDArray[np.float32]

    @classmethod
    def of(
        cls, network: Network, parameters: Parameters, own: Normalisation, learner: Normalisation
    ) -> Teacher:
        """The network with these parameters, trained on its `own` statistics."""
        offset = (learner.mean - own.mean) / own.std
        return cls(network, parameters, learner.std / own.std, offset)

    def mask(self, parameters: Mapping[str, Tensor], features: Tensor) -> Tensor:
        """Its mask [B, T, 128] of features [B, T, 128], with its parameters as tensors.

        What the learning network's bound of four deviations has cut stays cut.
        """
        heard = ops.clip(features * self.scale + self.offset, -FEATURE_CLIP, FEATURE_CLIP)
        return forward(self.network, parameters, heard)


def _table_of(floats: FloatNetwork, path: Path) -> Network:
    """[network] of the weights themselves: a network that was shrunk is not its recipe's."""
    clips = sorted({layer.cell_clip for layer in floats.layers if layer.kind == "lstm"})
    if len(clips) > 1:
        raise InputError(f"expected one cell clip for all LSTMs, got {clips}", path, "train anew")
    clip = clips[0] if clips else 0.0
    network = Network(cell_clip=clip).resized({x.name: x.units for x in floats.layers})
    names = [layer.name for layer in floats.layers]
    if names != layer_names(network):  # as an imported one may be: training would reorder it
        what = f"expected the layers as {', '.join(layer_names(network))}, got {', '.join(names)}"
        raise InputError(what, path, "use --method offline, which keeps the order")
    return network
