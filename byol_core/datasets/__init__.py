"""Finds the images on the disk, identifies their content, and brings them there.

This package loads no torch.

* ``kinds`` is the table of data sets: of each name, where its files lie and what is known of them.
* ``published`` knows those that are published: addresses, checksums, sizes.
* ``locate`` finds the files of a data set and names their content.
* ``facts`` tells how many images there are, and of which kind, and what they cannot serve.
* ``npz`` knows what an .npz of images must hold, and reads its headers.
* ``fingerprint`` hashes content, and remembers it.
* ``photo_folder`` lists photos in folders of classes.
* ``own_files`` finds what a data set of the user's own lies in.
* ``fetch`` downloads a data set.
* ``archives`` tells what is published, and puts into place what was carried here.
* ``node_copy`` copies images to the disk of a node.
* ``errors`` says what can be wrong with them.
"""
