"""The parts of the engine that numpy is too slow for, in plain C, where a compiler was there to build them.

`_ring.*.so` lies in this folder, built by setuptools as an optional extension: it contains no Python, is loaded with
ctypes, which lets go of the interpreter's lock during a call, and may be missing. Whoever calls it has a numpy path
that gives the same results, bit by bit, and is what runs where `library()` is None.

To add a file of C:
    1. Write `name.c` here; include `ring.h`; mark what Python calls with `EXPORT`, and let its names begin with
       `ring_`. Arrays come as pointers to contiguous words, or with strides counted in words. No global state, no
       output, and no errors but those a return value tells.
    2. For several processors in one file: put the work in an `INLINE` function and call it from one function for each,
       marked `FOR_AVX2`, `FOR_AVX512` or not at all (guarded by `RING_X86`); choose by a first argument `int level`.
       `EVERYWHERE` in `everywhere.h` writes these functions where the work is the same for all.
    3. Name it in `pyproject.toml`, under `tool.setuptools.ext-modules`: sources, and headers under `depends`.
    4. Raise `RING_ABI` in `ring.h` and `ABI` in `library.py`, so that an old build is not taken for a new one. Build
       with `pip install --no-deps --no-build-isolation -e .` and remove the egg-info that this leaves.
    5. Wrap it in a module here: `library().function("ring_name", kinds...)`, arrays in, arrays out, types and shapes
       checked in Python, since C checks nothing.
"""
