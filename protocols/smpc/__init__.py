"""Secure computation: several devices compute on data and models that none of them can see."""
