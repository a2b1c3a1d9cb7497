"""What computes gradients and takes optimiser steps: plain torch, or DeepSpeed."""
