"""What `ablation/types.py` says of each kind, tried before a GPU is touched: every part is called and looked at.

On the CPU, on eight small images, twice with one key, and outside of the training loop. A breach is a ConfigError that
says which option, what it returned and what it should have.
"""
