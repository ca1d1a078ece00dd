"""Ranges of the integers in a network, each beside its reason.

All of them are in *weight units*: one unit is one step of an integer weight at exponent 0. Lava and Loihi keep current
and voltage 64 times finer (shifted left by 6 bits), in 24 signed bits.
"""

WEIGHT_MIN, WEIGHT_MAX = -256, 255
"""8-bit mantissa and sign (Davies et al., IEEE Micro 38(1), 2018; lava-nc 0.10.0 ``utils/weightutils.py``)."""

WEIGHT_EXPONENT_MIN, WEIGHT_EXPONENT_MAX = -8, 7
"""Synaptic weight exponent (brian2-loihi 0.5.2 README; nengo-loihi validates -7..7)."""

DECAY_ONE = 4096
"""A decay of one: the state is forgotten at every step. 12-bit fixed point (SLAYER ``p_scale``)."""

THRESHOLD_MAX = 131071
"""17-bit threshold mantissa (lava-nc ``proc/lif/process.py``; nengo-loihi ``discretize.py``)."""

BIAS_MIN, BIAS_MAX = -32768, 32767
"""What Lava's fixed-point LIF stores (int16, ``proc/lif/models.py``); beyond it the sign flips silently."""

LOIHI_BIAS_MIN, LOIHI_BIAS_MAX = -4096, 4095
"""13-bit signed bias mantissa of the chip (nengo-loihi ``discretize.py``; lava-nc ``proc/lif/process.py``)."""

BIAS_EXPONENT_MIN, BIAS_EXPONENT_MAX = 0, 7
"""3-bit bias exponent (nengo-loihi ``discretize.py``). Exponent 6 puts the bias in weight units."""

BIAS_EXPONENT_WEIGHT_UNITS = 6
"""The exponent at which one bias unit is one weight unit; lava-dl's netx always uses it (``netx/hdf5.py``)."""

STATE_SHIFT = 6
"""Current and voltage are activations shifted left by this many bits (lava-nc ``proc/lif/models.py``)."""

STATE_BITS = 24
"""Signed width of current and voltage; the current wraps and the voltage saturates (same file)."""

ACTIVATION_MAX = (1 << (STATE_BITS - 1 - STATE_SHIFT)) - 1
"""131071: the largest magnitude of a summed activation at which Lava's current does not wrap."""

READOUT_THRESHOLD = (1 << 18) - 1
"""262143: above the saturation of the voltage, so the neuron never spikes. lava-dl exports its affine layers so."""

VOLTAGE_DECAY_MAX = 4095
"""12-bit register of the voltage decay; the simulator also takes 4096 (lava-nc ``proc/lif/models.py``). The current
decay's register holds one less than the decay, so that 4096 fits (``ds_offset``, same file)."""

DELAY_MAX = 62
"""Longest synaptic delay in steps; lava-dl 0.6.0 clamps longer ones to it (``netx/hdf5.py``, ``create_dense``)."""

GRADED_MIN, GRADED_MAX = -(1 << 31), (1 << 31) - 1
"""What a graded message may hold in Lava's ports (int32, lava-nc ``proc/sdn/models.py``)."""

MESSAGE_BITS_MAX = 24
"""Widest graded message, sign included (lava-nc ``proc/sdn/models.py``: ``precision=24``)."""

MESSAGE_BITS_DEFAULT = 16
"""Width of a sigma-delta message where the file does not say (lava-dl 0.6.0 ``netx/hdf5.py``)."""

SPIKE_EXPONENT = 6
"""Binary places of a sigma-delta message and, again, of its state where nothing else is said (same file)."""

STATE_EXPONENT_MAX = 8
"""Our bound on each of the two sigma-delta exponents: lava-dl uses 6, and a 15-bit bias still fits into 32 bits."""
