"""Which weights go: structures and budgets, the choice of groups, permutation and shrinking.

groups       a weight, a block, a unit: norms, masks, exact counts
graph        which axes of which arrays belong together
budget       one global sparsity -> one per gate half
calibration  what every matrix reads, from a float forward pass in NumPy
offline      pruning without training, of float and of integer networks
resolve      the survivors solved for anew, from what the network reads
permute      hidden units reordered so that important weights share blocks
shrink       units taken out of the network

These files know NumPy alone; the methods that train stand beside them.
"""
