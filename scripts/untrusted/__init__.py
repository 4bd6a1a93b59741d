"""Byzantine workers, each as it really behaves, and what a coordinator makes of them."""
