"""What private inference promises, what it does not, and what each choice lets whom learn: sentences for people."""

from __future__ import annotations

from protocols.smpc.crypten_bridge.dealers import CHOICES

__all__ = ["PROMISES"]

PROMISES = (
    "No single one of the three computing devices learns anything of what is secret: input, model, or both.",
    "Only the receivers that the plan names learn the answers; the asking device is one of them unless others are named"
    " in its place. Each finds out if one party's shares of an answer were altered.",
    "Whoever lends a model hands its shares to the three itself: the asking device learns its inputs, outputs,"
    " operators and shapes, and no weight, nor a name by which one could be fetched. It lends to whom"
    " `offers` in its settings says, and to nobody else.",
    "Whoever lends a model learns who asks, when, with which devices and receivers; not the input, not the answers.",
    "Whoever receives learns the answers, the program's outputs, and whose job it was, and nothing of the input or the"
    " model but what answers tell. It takes answers only from those whom `receives` in its settings names.",
    "Answers that stay with the three as shares are sealed on their disks, are over after a time, and are deleted when"
    " the device that asked says so. That device may open them in a later job, by naming itself a receiver there.",
    "A model that was added with --public-until has a beginning that is no secret: whoever asks runs it, and so has it"
    " whole, weights included. What comes out of it is shared like any input, and only the rest is secret.",
    "A model that was calibrated tells everybody in the plan its number format: on how many bits values are compared,"
    " which bounds the largest of them. Whoever borrows it is also told how large its inputs may be.",
    "There is no dealer: nobody makes randomness for the others that could open what they hold.",
    "The three belong to different owners, by what their settings say: each checks the plan for that, and for what"
    " it says of itself. With `parties` in its settings a device entrusts shares only to those it names.",
    "Every member of the session learns the plan: who takes part, whose devices they are, and the program, which is"
    " the network's operators and shapes without its weights.",
    "Each computing device sees when requests come, how many there are, and how long they take.",
    "Not promised: secrecy from two computing devices that pool what they hold. Together they learn everything.",
    "With -o abort=yes a party that departs from the program, in any way, is found out before anything is revealed, but"
    " with probability 2**-40; the job then ends, and is tried with others. It costs ten to two hundred times the"
    " computing, and 20 to 350 times the bytes.",
    "Not promised without it: a right answer from a party that departs from the program. All are taken to be honest but"
    " curious; a lie in the course of the computation is not noticed.",
    "Not promised: that answers give nothing away of the model. Whoever may ask often enough can copy a model.",
    *CHOICES,
)
