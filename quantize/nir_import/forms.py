"""A NIR graph as layers: neurons, and one affine map from the layers that they read.

Between neurons NIR has any number of linear nodes, in series, side by side and through delays: ``linear`` joins them.
What arrives at neurons is their layer's synapse.
"""

from __future__ import annotations

import graphlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from netx.nir_graph import IDENTITY, PARAMETERS, NirGraph, NirNode
from netx.types import Shape
from quantize.nir_import import operators as op
from quantize.nir_import.errors import CannotError, NirImportError, Problem, Problems
from quantize.nir_import.linear import Form, summed, transformed, window_of
from quantize.nir_import.loops import LoopError, feedback_edges, reached_from, step_order
from quantize.nir_import.neurons import READING, SPIKING, FloatNeuron, Rules, float_neuron, relay_neuron

NEURONS = (*SPIKING, *READING)


@dataclass(frozen=True, eq=False)
class FloatLayer:
    """Neurons and what they read. feedback: of their own spikes one step before. neuron: None for a linear output.
    relay: whether it is no node of the graph, and passes on spikes of the layer that it reads."""

    name: str
    form: Form
    feedback: op.Term | None
    neuron: FloatNeuron | None
    relay: bool = False


@dataclass(frozen=True)
class FloatNetwork:
    """The layers of a graph, each after what it reads. inputs: shapes by name. outputs: names of layers.

    output_nodes: for each output layer the node of the graph that it is the output of.
    """

    inputs: Mapping[str, Shape]
    layers: tuple[FloatLayer, ...]
    outputs: tuple[str, ...]
    dropped: tuple[str, ...]


def gather(
    graph: NirGraph, inputs: Mapping[str, Shape], dt: float, rules: Mapping[str, Rules] = MappingProxyType({})
) -> FloatNetwork:
    """The layers of ``graph`` for steps of ``dt`` seconds.

    inputs: the shape of every node without inputs. rules: by name of node, what the graph leaves open. Raises
    NirImportError that names all nodes which cannot be done.
    """
    problems = Problems(graph.path)
    for name, node in graph.nodes.items():
        if node.kind not in PARAMETERS and node.kind != IDENTITY:
            problems.add(name, node.kind, f"is no kind that can be done: {', '.join(sorted(PARAMETERS))} can")
    gatherer = _Gatherer(graph, inputs, dt, problems, rules)
    gatherer.run()
    problems.stop_if_any()
    return gatherer.result()


class _Gatherer:
    """Goes through the graph once, every node after those that it reads within one step."""

    def __init__(
        self,
        graph: NirGraph,
        inputs: Mapping[str, Shape],
        dt: float,
        problems: Problems,
        rules: Mapping[str, Rules],
    ) -> None:
        self._graph, self._inputs, self._dt, self._problems, self._rules = graph, inputs, dt, problems, rules
        self._fed: dict[str, Shape] = {}
        self._forms: dict[str, Form] = {}
        self._layers: dict[str, FloatLayer] = {}
        self._before: dict[str, list[str]] = {name: [] for name in graph.nodes}
        for source, target in graph.edges:
            self._before[target].append(source)
        neurons = {name for name, node in graph.nodes.items() if node.kind in NEURONS}
        self._feedback = feedback_edges(graph, neurons)
        self._dropped: tuple[str, ...] = ()

    def run(self) -> None:
        """Fill in forms and layers; what cannot be done goes to the problems."""
        reached = reached_from(self._graph, self._inputs)
        self._dropped = tuple(name for name in self._graph.nodes if name not in reached)
        try:
            order = step_order(self._graph, self._feedback)
        except LoopError as error:
            loop = error.nodes
            reason = f"is part of a loop without neurons, which has no time step: {', '.join(loop)}"
            self._problems.add(loop[0], self._kind(loop[0]), reason)
            return
        order = [name for name in order if name in reached]
        self._fed = self._shapes_fed(order) if self._feedback else {}
        for name in order:
            self._visit(name)
        self._close_loops()

    def result(self) -> FloatNetwork:
        read = {source for source, _ in self._graph.edges}
        ends = [
            name
            for name, node in self._graph.nodes.items()
            if name in self._forms and name not in self._inputs and (node.kind == "Output" or name not in read)
        ]
        if not ends:
            raise NirImportError(self._graph.path, [Problem("", "graph", "no input leads to an output")])
        outputs: dict[str, None] = {}
        for end in ends:
            outputs[self._output_layer(end)] = None
        order = graphlib.TopologicalSorter({name: set(layer.form.terms) for name, layer in self._layers.items()})
        layers = tuple(self._layers[name] for name in order.static_order() if name in self._layers)
        return FloatNetwork(dict(self._inputs), layers, tuple(outputs), self._dropped)

    def _visit(self, name: str) -> None:
        node = self._graph.nodes[name]
        if name in self._inputs:
            shape = self._inputs[name]
            self._forms[name] = Form(shape, {name: op.identity(shape)}, np.zeros(shape))
            return
        with self._problems.of(name, node.kind):
            arriving = self._arriving(name)
            if arriving is None:
                return
            if node.kind in NEURONS:
                self._add_layer(name, node, arriving)
            else:
                self._forms[name] = transformed(node, self._cropped(node, arriving), self._dt)

    def _cropped(self, node: NirNode, form: Form) -> Form:
        """``form`` as it is, with relays in front of poolings that leave rows or columns unread, where ``node`` could
        not be joined to them otherwise."""
        window = window_of(node, form)
        terms = {}
        for source, term in form.terms.items():
            layer = self._layers.get(source)
            smaller = op.without_margin(term, window) if window is not None else None
            if smaller is None or layer is None or layer.neuron is None or not layer.neuron.spikes:
                terms[source] = term
            else:
                terms[self._relay(source, term.source, smaller)] = replace(term, source=smaller)
        return replace(form, terms=terms)

    def _relay(self, source: str, before: Shape, after: Shape) -> str:
        """The name of a layer that spikes as the first rows and columns of ``source`` do."""
        name = f"{source}.{after.height}x{after.width}"
        while name in self._graph.nodes:
            name += "_"
        form = Form(after, {source: op.crop(before, after)}, np.zeros(after))
        self._layers[name] = FloatLayer(name, form, None, relay_neuron(after), relay=True)
        return name

    def _arriving(self, name: str) -> Form | None:
        """The sum of what the edges bring; None when one of their sources is itself a problem."""
        forms = []
        for source in self._before[name]:
            if source in self._dropped:
                continue
            if self._kind(source) in READING and self._graph.nodes[name].kind not in ("Output", IDENTITY):
                raise CannotError(
                    f"reads {source!r}, a {self._kind(source)}, which sends no spikes: its voltage can only be read out"
                )
            if (source, name) in self._feedback:
                if source not in self._fed:
                    return None
                shape = self._fed[source]
                forms.append(Form(shape, {source: op.identity(shape)}, np.zeros(shape)))
            elif source in self._forms:
                forms.append(self._forms[source])
            else:
                return None
        return summed(forms)

    def _shapes_fed(self, order: list[str]) -> dict[str, Shape]:
        """The shape of every node, as far as what any of its edges brings tells it: of neurons that feed back, it may
        be stored nowhere but in what they read."""
        shapes = dict(self._inputs)
        for _ in order:
            known = len(shapes)
            for name in order:
                before = next((shapes[source] for source in self._before[name] if source in shapes), None)
                if name in shapes or before is None:
                    continue
                node, form = self._graph.nodes[name], Form(before, {}, np.zeros(before))
                with suppress(CannotError):  # which is said where the node is visited
                    shapes[name] = before if node.kind in NEURONS else transformed(node, form, self._dt).shape
            if len(shapes) == known:
                break
        return shapes

    def _add_layer(self, name: str, node: NirNode, arriving: Form) -> None:
        rules = self._rules.get(name, Rules())
        neuron = float_neuron(node, arriving.shape, self._dt, rules)
        terms = dict(arriving.terms)
        feedback = terms.pop(name, None)
        if feedback is not None and not neuron.spikes:
            raise CannotError("feeds back, but has no spikes to send")
        if not terms:
            raise CannotError("reads nothing but itself")
        self._layers[name] = FloatLayer(name, replace(arriving, terms=terms), feedback, neuron)
        # Spikes that are sent a step late reach what reads them a step late; the layer itself fires at once.
        sent = op.then_delayed(op.identity(arriving.shape), np.full((1, 1), int(rules.late)))
        self._forms[name] = Form(arriving.shape, {name: sent}, np.zeros(arriving.shape))

    def _close_loops(self) -> None:
        """A problem for every loop that is more than a layer's own feedback."""
        before = {name: set(layer.form.terms) for name, layer in self._layers.items()}
        try:
            list(graphlib.TopologicalSorter(before).static_order())
        except graphlib.CycleError as error:
            loop = list(dict.fromkeys(error.args[1]))
            self._problems.add(
                loop[0],
                self._kind(loop[0]),
                f"is part of a loop over several layers ({', '.join(loop)}): a layer can only feed back to itself",
            )

    def _output_layer(self, end: str) -> str:
        """The layer whose spikes or read-outs the node ``end`` hands out; a linear one is added where there is none."""
        form = self._forms[end]
        if len(form.terms) == 1 and not form.bias.any():
            [(source, term)] = form.terms.items()
            plain = isinstance(term.operator, op.Scaled) and bool((term.operator.factor == 1).all())
            late = int(self._rules.get(source, Rules()).late)
            if plain and (term.delay == late).all() and source in self._layers:
                return source
        self._layers[end] = FloatLayer(end, form, None, None)
        return end

    def _kind(self, name: str) -> str:
        return self._graph.nodes[name].kind
