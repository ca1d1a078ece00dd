# %% [markdown]
# # train_and_distil

# %%
print(1)
