"""The images on the disk: where they lie, what their content is, how they get there. Loads no
torch.

``locate`` finds the files of a data set and names their content; ``fingerprint`` hashes it,
``photo_folder`` lists photos in folders. ``fetch`` downloads, ``node_copy`` copies to the disk of a
node. ``errors`` says what can be wrong with them.
"""
