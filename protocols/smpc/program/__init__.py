"""ONNX in, private out: a model as a list of steps over secret tensors, and the three parties that take them.

`compile.compile_model` runs on the device of the model's owner and knows the weights. What it makes of the graph, a
`steps.Program`, travels in a plan and says everything but them. `run.run_program` takes the steps at each party.
"""
