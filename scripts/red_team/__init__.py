"""What `scoreboard.py` is made of: the verifiers of this project in each mode, sampling, and the picture."""
