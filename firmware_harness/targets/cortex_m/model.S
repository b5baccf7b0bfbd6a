/* SPDX-License-Identifier: Apache-2.0 */
/* The file TINYSE_BLOB, as it is: .flash_model or .ram_model. */
    .section TINYSE_MODEL_SECTION, "a"
    .balign 16
    .global model_tsb
    .global model_tsb_end
model_tsb:
    .incbin TINYSE_BLOB
model_tsb_end:
