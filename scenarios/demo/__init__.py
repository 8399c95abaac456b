"""The main job, shown: a detector shared by several node processes, one of which is killed on the way."""
