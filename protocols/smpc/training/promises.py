"""What private training promises, what it does not, and what each choice lets whom learn: sentences for people."""

from __future__ import annotations

__all__ = ["PROMISES"]

PROMISES = (
    "No single one of the three computing devices learns anything of the data, the labels, the gradients or the model.",
    "Only the receivers that the plan names learn the model, and each finds out if one party's shares of it were"
    " altered. Kept as shares, nobody does, until a later private job of the device that asked names a receiver.",
    "An owner's data leave its device as shares alone, and only for a job of those whom `trains` in its settings names,"
    " with receivers that it names there too, and with parties that `parties` there allows.",
    "A loss is told to the device that asks, every so many steps, only if every owner of data has named its table with"
    " `losses` in its settings. Without that, nobody learns how the training goes.",
    "What each party keeps of the training, to go on after a failure, are shares, sealed on its disk under a key of its"
    " own, deleted after the time that the plan says. No two parties' shares are ever in one place.",
    "Owners of columns are told whether their rows are the others' rows, by digests under a salt that parties do not"
    " have. Rows must be aligned beforehand: private set intersection is not done.",
    "There is no dealer: nobody makes randomness for the others that could open what they hold.",
    "The three belong to different owners, by what their settings say: each checks the plan for that.",
    "Every member of the session learns the plan: who takes part, the layers, what the tables and columns that are used"
    " are called, and which batches are made of which row numbers. The parties and the asking device learn how many"
    " rows and columns each owner has.",
    "Not promised: secrecy from two computing devices that pool what they hold. Together they learn everything.",
    "Not promised: a right model from a party that departs from the program. All are taken to be honest but curious.",
    "Not promised: that the model or a loss gives nothing away of the data. A model tells its receivers what a model"
    " tells; no noise is added.",
    "Not promised: that an owner's data are what it says. Whoever hands in nonsense spoils the model, unseen.",
)
