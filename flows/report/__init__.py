"""A page of figures about the pipeline and what it brought, as one file that needs nothing else."""
