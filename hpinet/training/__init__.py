"""Training HPINet: recipes, data, the loop, and what a finished run leaves behind.

Nothing is imported here, so that the command line stays light. The parts, each importing only from those before it:
`recipes` (what to do, as data), `data` (folders of pictures to crops), `state` (files of a run), `loop` (doing it),
`plots`, `export`, `cli`.

Every random choice is a pure function of (seed, step, number of the sample within the step). So a run can stop after
any step and go on to the very same weights, and one process or several see the same samples.
"""
