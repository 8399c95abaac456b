"""Scripts of torch.distributed that know nothing of the mesh. They run over gloo and over the mesh as they are."""
